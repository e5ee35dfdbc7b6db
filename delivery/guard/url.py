"""Parse and check the URL of a channel, and mask it for display."""

import contextlib
import ipaddress
import re
import socket
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import SplitResult, quote, urlsplit

import idna

MAX_URL_LENGTH = 2048
MAX_HOST_LENGTH = 254
MAX_LINK_LENGTH = 4000
PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Checked in this order; the first match is reported.
_MISTAKES = (
    (r"^$", "Enter the URL of the receiver, such as https://hooks.example.com/services/…."),
    (
        r"[\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u2060-\u206f\u3000\ufeff]",
        "The URL contains a space or an invisible character: remove it, or write %20.",
    ),
    (r"[\ud800-\udfff]", "The URL contains an invalid character: type the URL again."),
    (r"^(?![a-z][a-z0-9+.-]*://)", "Begin the URL with https:// (or http://)."),
    (r"^(?!https?://)", "Tocsin sends to http:// and https:// URLs only."),
    (r"\\", "The URL contains a backslash; use / instead."),
    (r"^[^?#]*[^/?#]https?://", "There are two URLs in this field; keep one."),
)
_IPV6_AUTHORITY = re.compile(r"\[[^\[\]]*\](:[0-9]+)?")
# RFC 1123 §2.1, and the underscore that many names inside networks have.
_HOST_NAME = re.compile(r"(?!\.)(?:(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.|$))+")
_ENDS_LIKE_IPV4 = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_RESERVED = "%:/?#[]@!$&'()*+,;="  # RFC 3986, section 2.2, and the percent sign
_ABSOLUTE = re.compile(r"(https?://[^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
_MALFORMED_HOST = (
    "The host is not valid; an IPv6 address needs brackets, such as https://[2606:4700::7]:8443/."
)


class InvalidUrl(ValueError):
    """The URL cannot work. The text is a sentence for the user, without the URL."""


@dataclass(frozen=True)
class ParsedUrl:
    """A parsed URL, without a fragment.

    `host` is ASCII, without brackets; `path` begins with a slash.
    """

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    query: str = field(repr=False)

    @property
    def authority(self) -> str:
        """Host and port as in a URL and in the `Host` header, without the default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port: the public part, to which stored secrets are bound."""
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        """The URL to request."""
        return self.origin + self.path_and_query

    @property
    def masked(self) -> str:
        """The URL as pages show it: the origin, and the last four characters of a long path."""
        rest = self.path_and_query
        if len(rest) > 20:
            return f"{self.origin}/…{rest[-4:]}"
        return self.origin + ("/" if rest == "/" else "/…")

    @property
    def path_and_query(self) -> str:
        """Path and query as in a URL."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def address(self) -> Address | None:
        """The address that the host spells, or None for a name.

        Any spelling that resolvers accept counts (`127.1`, `0x7f.1`).
        """
        return literal_address(self.host)


def literal_address(host: str) -> Address | None:
    """Return the address that `host` spells without a lookup, or None.

    Resolvers read addresses with `inet_aton` too.
    """
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host)
    with contextlib.suppress(OSError, ValueError):
        return ipaddress.IPv4Address(socket.inet_aton(host.removesuffix(".")))
    return None


@lru_cache(maxsize=1024)
def parse_url(text: str) -> ParsedUrl:
    """Parse what a user typed; surrounding white space is ignored.

    Raises: InvalidUrl
    """
    url = text.strip(" \t\r\n\f\v")
    _refuse_mistakes(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        if "port" in str(error).lower():
            raise InvalidUrl("The port is not a number from 1 to 65535.") from None
        raise InvalidUrl(_MALFORMED_HOST) from None
    if port == 0:
        raise InvalidUrl("Port 0 does not exist; use a port from 1 to 65535.")
    if "@" in parts.netloc:
        raise InvalidUrl(
            "Remove the user name and password from the URL, and use the authentication fields."
        )
    scheme = parts.scheme.lower()
    host = _host(parts)
    return ParsedUrl(scheme, host, port or PORTS[scheme], parts.path or "/", parts.query)


def encode_unsafe(text: str) -> str:
    """Percent-encode what no URL may have (blanks, quotes, braces, letters beyond ASCII).

    The host stays as it is, and so does any text that is not an http(s) URL.
    """
    url = _ABSOLUTE.fullmatch(text.strip())
    if not url:
        return text
    rest = re.sub("%(?![0-9A-Fa-f]{2})", "%25", url[2])
    return url[1] + quote(rest, _RESERVED, errors="replace")


def to_link(text: str) -> str:
    """Return the absolute http(s) URL that a text is, encoded; empty for any other text.

    It is ASCII without blanks, quotes and parentheses, so that it can stand in any markup. A URL
    with a user name or a password is none: a message would show it to everyone.
    """
    parts = _ABSOLUTE.fullmatch(encode_unsafe(text.strip())) if text else None
    if not parts:
        return ""
    try:
        origin = parse_url(parts[1]).origin
    except InvalidUrl:
        return ""
    url = origin + (quote(parts[2], "%/:?#[]@!$&*+,;=~") or "/")
    return url if len(url) <= MAX_LINK_LENGTH else ""


def first_link(*texts: str) -> str:
    """Return the first of the texts that is an absolute URL, else the first that is not empty."""
    return next(filter(to_link, texts), "") or next(filter(None, texts), "")


def _refuse_mistakes(url: str) -> None:
    if len(url) > MAX_URL_LENGTH:
        raise InvalidUrl(
            f"The URL has {len(url)} characters; at most {MAX_URL_LENGTH} are allowed."
        )
    for pattern, sentence in _MISTAKES:
        if re.search(pattern, url, re.ASCII | re.IGNORECASE):
            raise InvalidUrl(sentence)


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not host:
        raise InvalidUrl("The URL has no host: enter the name of the receiver after https://.")
    if parts.netloc.rstrip().endswith(":"):
        raise InvalidUrl("There is a colon without a port after the host.")
    if "[" in parts.netloc:
        if not _IPV6_AUTHORITY.fullmatch(parts.netloc):
            raise InvalidUrl(_MALFORMED_HOST)
        return _ipv6(host)
    if not host.isascii():
        host = _to_ascii(host)
    if not _HOST_NAME.fullmatch(host) or len(host) > MAX_HOST_LENGTH:
        raise InvalidUrl(
            "The host is not valid: use letters, digits, single dots, and hyphens inside a name."
        )
    _refuse_broken_punycode(host)
    if _ENDS_LIKE_IPV4.fullmatch(host) and literal_address(host) is None:
        raise InvalidUrl(
            "The host looks like an IP address but is not valid: IPv4 has four numbers up to 255."
        )
    return host


def _refuse_broken_punycode(host: str) -> None:
    for label in re.findall(r"(?<![^.])xn--[^.]*", host):
        try:
            idna.ulabel(label)
        except (idna.IDNAError, UnicodeError):
            raise InvalidUrl(
                f"The host is not valid: {label} is the encoded form of no name."
            ) from None


def _ipv6(host: str) -> str:
    if "%" in host:
        raise InvalidUrl(
            "An address with a zone (%…) works on one machine only: use an address without a zone."
        )
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        raise InvalidUrl(_MALFORMED_HOST) from None


def _to_ascii(host: str) -> str:
    try:
        # As requests does it (UTS 46, IDNA 2008), so that the parsed host is the one connected to.
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise InvalidUrl("The host contains letters that no domain name can have.") from None
