"""Reads the URL of a channel: what it must be, said in words, and how it may be shown."""

import contextlib
import ipaddress
import re
import socket
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

import idna

MAX_URL_LENGTH = 2048
PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class InvalidUrl(ValueError):
    """The URL cannot work; the text is one sentence for the person who typed it, without the URL."""


@dataclass(frozen=True)
class ParsedUrl:
    """A URL that was read. `host` is ASCII, without brackets; `path` begins with a slash; the fragment is gone."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    query: str = field(repr=False)

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL and in `Host`, the scheme's own port left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port: all of a URL that may be shown to anyone, and what a kept secret is bound to."""
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        """The URL to request."""
        return self.origin + self.path + (f"?{self.query}" if self.query else "")

    @property
    def masked(self) -> str:
        """The URL as pages show it: the origin, and of a longer path no more than its last four characters."""
        rest = self.path + (f"?{self.query}" if self.query else "")
        return self.origin + (
            f"/…{rest[-4:]}" if len(rest) > 20 else "/…" if len(rest) > 1 else "/"
        )

    @property
    def address(self) -> Address | None:
        """The address that the host spells, in any spelling that a resolver takes (`127.1`, `0x7f.1`); None for a name."""
        return literal_address(self.host)


def literal_address(host: str) -> Address | None:
    """The address that `host` spells without any look-up, or None. `inet_aton` is what resolvers themselves read with."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host)
    with contextlib.suppress(OSError, ValueError):
        return ipaddress.IPv4Address(socket.inet_aton(host.removesuffix(".")))
    return None


@lru_cache(maxsize=1024)
def parse_url(text: str) -> ParsedUrl:
    """Reads what a person typed (blanks and line ends around it are trimmed). Raises InvalidUrl."""
    url = text.strip(" \t\r\n\f\v")
    _refuse_nonsense(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidUrl(_why_not_split(str(error))) from None
    if port == 0:
        raise InvalidUrl("Port 0 does not exist; use a port from 1 to 65535.")
    if "@" in parts.netloc:
        raise InvalidUrl(
            "Leave the user name and password out of the URL, and use the authentication fields instead."
        )
    scheme = parts.scheme.lower()
    host = _host(parts)
    return ParsedUrl(scheme, host, port or PORTS[scheme], parts.path or "/", parts.query)


def _refuse_nonsense(url: str) -> None:
    if not url:
        raise InvalidUrl(
            "Enter the address that the receiver gave you, such as https://hooks.example.com/services/…."
        )
    if len(url) > MAX_URL_LENGTH:
        raise InvalidUrl(
            f"The URL has {len(url)} characters; at most {MAX_URL_LENGTH} are possible."
        )
    if re.search(
        r"[\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u2060-\u206f\u3000\ufeff]", url
    ):
        raise InvalidUrl(
            "There is a blank or an invisible character inside the URL: remove it (or write %20 for a blank)."
        )
    if re.search(r"[\ud800-\udfff]", url):
        raise InvalidUrl("There is a broken character in the URL: type it again.")
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", url)
    if not match:
        raise InvalidUrl("Begin the URL with https:// (or http://).")
    if match[1].lower() not in PORTS:
        raise InvalidUrl(f"Tocsin speaks http and https, not {match[1].lower()}.")
    if "\\" in url:
        raise InvalidUrl("There is a backslash in the URL; use / instead.")
    if re.search(r"[^/]https?://", re.split(r"[?#]", url)[0], re.IGNORECASE):
        raise InvalidUrl("There are two URLs in this field; keep one.")


def _why_not_split(error: str) -> str:
    if "port" in error.lower():
        return "The port is not a number from 1 to 65535."
    return "The host is not spelled right; an IPv6 address stands in brackets, such as https://[2606:4700::7]:8443/."


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not host:
        raise InvalidUrl("The URL has no host: after https:// comes the name of the receiver.")
    if parts.netloc.rstrip().endswith(":"):
        raise InvalidUrl("There is a colon without a port after the host.")
    if "[" in parts.netloc:
        if not re.fullmatch(r"\[[^\[\]]*\](:[0-9]+)?", parts.netloc):
            raise InvalidUrl(_why_not_split(""))
        return _ipv6(host)
    if not host.isascii():
        host = _to_ascii(host)
    if not re.fullmatch(r"(?!\.)(?:[a-z0-9_-]{1,63}(?:\.|$))+", host) or len(host) > 254:
        raise InvalidUrl(
            "The host is not spelled right: letters, digits, hyphens and single dots only."
        )
    if re.fullmatch(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", host) and literal_address(host) is None:
        raise InvalidUrl(
            "The host looks like an IP address but is none: an IPv4 address has four numbers up to 255."
        )
    return host


def _ipv6(host: str) -> str:
    if "%" in host:
        raise InvalidUrl(
            "An address with a zone (%…) works on one machine only: use an address without it."
        )
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        raise InvalidUrl(_why_not_split("")) from None


def _to_ascii(host: str) -> str:
    try:
        # As requests itself does it, so that what is read here is what is connected to (UTS 46, IDNA 2008).
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise InvalidUrl("The host has letters that no domain name can have.") from None
