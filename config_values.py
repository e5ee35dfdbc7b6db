"""Parsers for the values of environment variables; each raises ValueError for an invalid value."""

import contextlib
import ipaddress
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 1000
MIN_SECRET_KEY_LENGTH = 16
MAX_SHOWN_LENGTH = 80

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class AllowedTarget:
    """An entry of TOCSIN_ALLOW_NETWORKS: a network or a host name, on one port or on all."""

    network: Network | None = None
    host: str | None = None
    port: int | None = None


@dataclass(frozen=True)
class DatabaseServer:
    """A database of PostgreSQL. Its text names no user and no password."""

    url: str = field(repr=False)
    name: str
    host: str = ""
    port: str = "5432"
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.name} at {self.host or 'this machine'}:{self.port}"


def _shown(text: str) -> str:
    """Return the beginning of a value, quoted."""
    return repr(text[:MAX_SHOWN_LENGTH])


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError(f"the port {_shown(text)} is not a number from 1 to 65535")
    return int(text)


def parse_bind(text: str) -> tuple[str, int]:
    """Return the host and the port of `host:port` or `[IPv6 address]:port`."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\[\]]*):([^:\[\]/]+)", text)
    if re.fullmatch(r"[0-9a-fA-F:]*:[0-9a-fA-F]*:[0-9]*", text):
        raise ValueError(f"{_shown(text)}: an IPv6 address needs brackets, for example [::1]:8000")
    if re.search(r"[\s,]", text):
        raise ValueError(
            f"{_shown(text)}: write one address without blanks, such as 127.0.0.1:8000"
        )
    if not match:
        raise ValueError(f"{_shown(text)} is not host:port, for example 127.0.0.1:8000")
    port = _port(match[2])
    host = match[1].strip("[]")
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(host)), port
    is_name = re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", host)
    if not is_name or host.replace(".", "").isdigit():
        raise ValueError(
            f"{_shown(host)} is neither an IP address nor a host name; "
            "to serve on every address, write 0.0.0.0:8000 or [::]:8000"
        )
    return host, port


def _database(url: str) -> "Path | DatabaseServer":
    if url.startswith(("postgresql:", "postgres:")):
        return _database_server(url)
    return _sqlite_path(url)


def _database_server(url: str) -> DatabaseServer:
    """Return the server of a URL; no message repeats a part of it, which may be the password."""
    from psycopg import ProgrammingError  # its library takes time that SQLite does not need
    from psycopg.conninfo import conninfo_to_dict

    example = "write for example postgresql://tocsin:password@db.example:5432/tocsin"
    encoded = "(in a password, write @ as %40, : as %3A, / as %2F, # as %23 and % as %25)"
    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError:
        raise ValueError(f"not a URL of PostgreSQL; {example} {encoded}") from None
    name = str(parts.get("dbname", ""))
    ports = str(parts.get("port", "5432"))
    if not all(re.fullmatch("[0-9]{0,5}", port) for port in ports.split(",")) or "@" in name:
        raise ValueError(f"the port is not a number; {example} {encoded}")
    if not name:
        raise ValueError(f"it names no database; {example}")
    return DatabaseServer(
        url,
        name=name,
        host=str(parts.get("host", "")),
        port=ports,
        password=str(parts.get("password", "")),
    )


def _sqlite_path(url: str) -> Path:
    example = "for example sqlite:////var/lib/tocsin/tocsin.db"
    if not url.startswith("sqlite:"):
        raise ValueError(
            f"it begins with neither sqlite: nor postgresql:, {example} or "
            "postgresql://tocsin:password@db.example:5432/tocsin"
        )
    if re.search("[?#]", url):
        raise ValueError(f"parameters after ? or # are not supported; write {example}")
    path = url.removeprefix("sqlite:///")
    if path in ("", url, ":memory:"):
        raise ValueError(f"it names no file; write {example}")
    return Path(path).absolute()


def _number(minimum: int, maximum: int, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not minimum <= int(text) <= maximum:
        raise ValueError(f"{_shown(text)} is not a whole number from {minimum} to {maximum}")
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(f"{_shown(text)} is neither 0 nor 1")
    return text == "1"


def _list(parse: Callable[[str], object], text: str) -> tuple[object, ...]:
    entries = map(str.strip, text.split(","))
    return tuple(map(parse, filter(None, entries)))


def _admin_password(text: str) -> str:
    if not MIN_PASSWORD_LENGTH <= len(text) <= MAX_PASSWORD_LENGTH:
        limits = f"{MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH}"
        raise ValueError(f"it has {len(text)} characters; use {limits} characters")
    return text


def _secret_key(text: str) -> str:
    if len(text) < MIN_SECRET_KEY_LENGTH:
        raise ValueError(
            f"too short; use {MIN_SECRET_KEY_LENGTH} or more random characters, "
            "for example the output of: openssl rand -base64 32"
        )
    return text


def _encryption_keys(text: str) -> tuple[str, ...]:
    keys = tuple(re.split(r"[\s,]+", text))
    for number, key in enumerate(keys, 1):
        if not re.fullmatch(r"[A-Za-z0-9_-]{43}=", key):
            raise ValueError(
                f"key {number} of {len(keys)} is not 32 bytes in URL-safe base64 (44 characters "
                "ending in =), for example the output of: openssl rand -base64 32 | tr +/ -_"
            )
    return keys


def _check_entry(entry: str) -> None:
    """Refuse the usual mistakes in a list of networks, with a sentence for each."""
    if _is_range(entry):
        raise ValueError(f"{_shown(entry)} is a range; write networks, for example 10.0.0.0/29")
    if re.search(r"[\s;]", entry):
        raise ValueError(f"{_shown(entry)}: separate entries by commas, such as 127.0.0.1, ::1")
    if re.fullmatch(r"::1:[0-9]{1,5}", entry):
        raise ValueError(f"{_shown(entry)}: an IPv6 address with a port needs brackets: [::1]:8000")
    if "://" in entry:
        raise ValueError(f"{_shown(entry)} is a URL; write its host alone, for example nas.lan")


def _is_range(entry: str) -> bool:
    start, _, end = entry.partition("-")
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(start.strip())
        return bool(re.fullmatch(r"\s*[0-9a-fA-F.:]+", end))
    return False


def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


def _trusted_proxy(entry: str) -> Network:
    """Return a network of proxies, an IPv4-mapped one (`::ffff:10.0.0.0/104`) as IPv4.

    The address of a client is read in the same way, see web/auth/proxy.py.
    """
    _check_entry(entry)
    try:
        network = _network(entry)
    except ValueError:
        raise ValueError(
            f"{_shown(entry)} is neither an address nor a network; write for example 127.0.0.1 or "
            "10.0.0.0/8 (names and ports are not supported)"
        ) from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if not mapped or network.prefixlen < 96:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - 96))


def _allowed_target(entry: str) -> AllowedTarget:
    """Parse `10.0.0.0/8`, `[fd00::]/8`, `::1`, `[::1]:9000`, `10.0.0.0/8:9093`, `nas.lan:8080`."""
    _check_entry(entry)
    match = re.fullmatch(r"(\[[^\[\]]*\][^:]*|[^:\[\]]*):([0-9]+)", entry)
    target = match[1] if match else entry
    port = _port(match[2]) if match else None
    with contextlib.suppress(ValueError):
        bare = re.sub(r"^\[([^\]]*)\](?=/|$)", r"\1", target)
        return AllowedTarget(network=_network(bare), port=port)
    host = re.fullmatch(r"([A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?)\.?", target)
    if host and not host[1].replace(".", "").isdigit():
        return AllowedTarget(host=host[1].lower(), port=port)
    raise ValueError(
        f"{_shown(entry)} is neither a network (10.0.0.0/8), an address (10.0.0.1, [::1]:9000) nor "
        "a host name (nas.lan:8080)"
    )


def _ca_file(text: str) -> Path:
    try:
        ssl.create_default_context(cafile=text)
    except ssl.SSLError:
        raise ValueError(f"{text} has no PEM certificate (-----BEGIN CERTIFICATE-----)") from None
    except OSError as error:
        message = f"{text}: {error.strerror}; name a file such as /etc/ssl/certs/own-ca.pem"
        raise ValueError(message) from None
    return Path(text).absolute()


def _web_url(text: str) -> str:
    example = "for example https://tocsin.example"
    if not re.match(r"https?://[^/?#]", text, re.IGNORECASE):
        raise ValueError(f"{_shown(text)} does not begin with http(s):// and a host, {example}")
    # The URL is part of a header (Content-Security-Policy) and must not end a directive.
    if re.search(r"[\s;,'\"]", text):
        raise ValueError(f"{_shown(text)} has a blank, a comma, a semicolon or a quotation mark")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(f"{_shown(text)} has an invalid host, {example}") from None
    port = re.search(r":([^:\]]+)$", parts.netloc)
    if port:
        _port(port[1])
    if not parts.hostname or "@" in parts.netloc:
        raise ValueError(f"{_shown(text)} has no host, or a user name before it; write {example}")
    return text


def _public_url(text: str) -> str:
    if re.search("[?#]", text):
        raise ValueError(
            f"{_shown(text)} has a query (after ?) or a fragment (after #), which no base of links "
            "can have; write for example https://tocsin.example"
        )
    return _web_url(text).rstrip("/")


def _integrity(text: str) -> str:
    if not re.fullmatch(r"sha(256|384|512)-[A-Za-z0-9+/]+={0,2}", text):
        raise ValueError("not an integrity value such as sha384-…")
    return text


PARSERS: dict[str, Callable[[str], object]] = {
    "TOCSIN_DATABASE_URL": _database,
    "TOCSIN_BIND": parse_bind,
    "TOCSIN_WORKERS": partial(_number, 1, 32),
    "TOCSIN_THREADS": partial(_number, 2, 128),
    "TOCSIN_SENDERS": partial(_number, 0, 32),
    "TOCSIN_PIN_CORES": _flag,
    "TOCSIN_KEEP_DAYS": partial(_number, 1, 3650),
    "TOCSIN_KEEP_DELIVERIES": partial(_number, 1000, 100_000_000),
    "TOCSIN_SECRET_KEY": _secret_key,
    "TOCSIN_ENCRYPTION_KEYS": _encryption_keys,
    "TOCSIN_ALLOW_NETWORKS": partial(_list, _allowed_target),
    "TOCSIN_CA_FILE": _ca_file,
    "TOCSIN_PUBLIC_URL": _public_url,
    "TOCSIN_ADMIN_PASSWORD": _admin_password,
    "TOCSIN_TRUSTED_PROXIES": partial(_list, _trusted_proxy),
    "TOCSIN_HTMX_URL": _web_url,
    "TOCSIN_HTMX_INTEGRITY": _integrity,
}
