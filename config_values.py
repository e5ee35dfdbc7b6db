"""Parsers for the values of environment variables; each raises ValueError for an invalid value."""

import contextlib
import ipaddress
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 1000
MIN_SECRET_KEY_LENGTH = 16

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class AllowedTarget:
    """An entry of TOCSIN_ALLOW_NETWORKS: a network or a host name, on one port or on all."""

    network: Network | None = None
    host: str | None = None
    port: int | None = None


def _bind(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:]+)\]|([^:\[\]]+)):([0-9]{1,5})", text)
    if not match or not 1 <= int(match[3]) <= 65535:
        raise ValueError(f"{text!r} is not host:port, for example 127.0.0.1:8000")
    host = match[1] or match[2]
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(host)), int(match[3])
    is_name = re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", host)
    if not is_name or host.replace(".", "").isdigit():
        raise ValueError(f"{host!r} is neither an IP address nor a host name")
    return host, int(match[3])


def _sqlite_path(url: str) -> Path:
    match = re.fullmatch(r"sqlite:///([^?#]+)", url)
    if not match:
        raise ValueError("this version supports SQLite only: sqlite:////path/to/file.db")
    return Path(match[1]).absolute()


def _number(minimum: int, maximum: int, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not minimum <= int(text) <= maximum:
        raise ValueError(f"{text!r} is not a whole number from {minimum} to {maximum}")
    return int(text)


def _flag(text: str) -> bool:
    return bool(_number(0, 1, text))


def _list(parse: Callable[[str], object], text: str) -> tuple[object, ...]:
    entries = map(str.strip, text.split(","))
    return tuple(map(parse, filter(None, entries)))


def _admin_password(text: str) -> str:
    if not MIN_PASSWORD_LENGTH <= len(text) <= MAX_PASSWORD_LENGTH:
        raise ValueError(f"use {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters")
    return text


def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


def _secret_key(text: str) -> str:
    if len(text) < MIN_SECRET_KEY_LENGTH:
        raise ValueError(f"too short; use {MIN_SECRET_KEY_LENGTH} or more random characters")
    return text


def _encryption_keys(text: str) -> tuple[str, ...]:
    keys = tuple(re.split(r"[\s,]+", text))
    if not all(re.fullmatch(r"[A-Za-z0-9_-]{43}=", key) for key in keys):
        raise ValueError("a key is 32 bytes in URL-safe base64 (44 characters ending in =)")
    return keys


def _allowed_target(entry: str) -> AllowedTarget:
    """Parse `10.0.0.0/8`, `[fd00::]/8`, `::1`, `[::1]:9000`, `10.0.0.0/8:9093`, `nas.lan:8080`."""
    match = re.fullmatch(r"(\[[^\[\]]*\][^:]*|[^:\[\]]*):([0-9]{1,5})", entry)
    target = match[1] if match else entry
    port = int(match[2]) if match else None
    if port is None or 1 <= port <= 65535:
        with contextlib.suppress(ValueError):
            bare = re.sub(r"^\[([^\]]*)\](?=/|$)", r"\1", target)
            return AllowedTarget(network=_network(bare), port=port)
        host = re.fullmatch(r"([A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?)\.?", target)
        if host and not host[1].replace(".", "").isdigit():
            return AllowedTarget(host=host[1].lower(), port=port)
    raise ValueError(f"{entry!r} is neither a network (10.0.0.0/8), an address nor a host name")


def _ca_file(text: str) -> Path:
    try:
        ssl.create_default_context(cafile=text)
    except ssl.SSLError:
        raise ValueError(f"{text} holds no PEM certificate") from None
    return Path(text).absolute()


def _web_url(text: str) -> str:
    with contextlib.suppress(ValueError):
        parts = urlsplit(text)
        is_web = parts.port != 0 and parts.scheme in ("http", "https") and parts.hostname
        # The URL is part of a header (Content-Security-Policy) and must not end a directive.
        if is_web and not re.search(r"[\s;,'\"]", text):
            return text
    raise ValueError(f"{text!r} is not an http or https URL")


def _public_url(text: str) -> str:
    return _web_url(text).rstrip("/")


def _integrity(text: str) -> str:
    if not re.fullmatch(r"sha(256|384|512)-[A-Za-z0-9+/]+={0,2}", text):
        raise ValueError("not an integrity value such as sha384-…")
    return text


PARSERS: dict[str, Callable[[str], object]] = {
    "TOCSIN_DATABASE_URL": _sqlite_path,
    "TOCSIN_BIND": _bind,
    "TOCSIN_WORKERS": partial(_number, 1, 32),
    "TOCSIN_THREADS": partial(_number, 2, 128),
    "TOCSIN_PIN_CORES": _flag,
    "TOCSIN_KEEP_DAYS": partial(_number, 1, 3650),
    "TOCSIN_KEEP_DELIVERIES": partial(_number, 1000, 100_000_000),
    "TOCSIN_SECRET_KEY": _secret_key,
    "TOCSIN_ENCRYPTION_KEYS": _encryption_keys,
    "TOCSIN_ALLOW_NETWORKS": partial(_list, _allowed_target),
    "TOCSIN_CA_FILE": _ca_file,
    "TOCSIN_PUBLIC_URL": _public_url,
    "TOCSIN_ADMIN_PASSWORD": _admin_password,
    "TOCSIN_TRUSTED_PROXIES": partial(_list, _network),
    "TOCSIN_HTMX_URL": _web_url,
    "TOCSIN_HTMX_INTEGRITY": _integrity,
}
