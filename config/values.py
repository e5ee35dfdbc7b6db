"""Parsers for the values of environment variables; each raises ValueError for an invalid value."""

import re
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from config.database_url import database_of
from config.networks import allowed_target, parse_bind, trusted_proxy
from config.prefix import check_prefix
from config.texts import port_of, shown
from logs import LogFormat

MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 1000
MIN_SECRET_KEY_LENGTH = 16


def _number(minimum: int, maximum: int, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not minimum <= int(text) <= maximum:
        raise ValueError(f"{shown(text)} is not a whole number from {minimum} to {maximum}")
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(f"{shown(text)} is neither 0 nor 1")
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


def _ca_file(text: str) -> Path:
    try:
        ssl.create_default_context(cafile=text)
    except ssl.SSLError:
        raise ValueError(f"{text} has no PEM certificate (-----BEGIN CERTIFICATE-----)") from None
    except OSError as error:
        message = f"{text}: {error.strerror}; name a file such as /etc/ssl/certs/own-ca.pem"
        raise ValueError(message) from None
    return Path(text).absolute()


def _provision_file(text: str) -> Path:
    """Return the path of a file of channels; a missing one is reported in the pages."""
    if "://" in text:
        raise ValueError(f"{shown(text)} is a URL; name a file or a folder of this machine")
    return Path(text).absolute()


def _web_url(text: str) -> str:
    example = "for example https://tocsin.example"
    if not re.match(r"https?://[^/?#]", text, re.IGNORECASE):
        raise ValueError(f"{shown(text)} does not begin with http(s):// and a host, {example}")
    # The URL is part of a header (Content-Security-Policy) and must not end a directive.
    if re.search(r"[\s;,'\"]", text):
        raise ValueError(f"{shown(text)} has a blank, a comma, a semicolon or a quotation mark")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(f"{shown(text)} has an invalid host, {example}") from None
    port = re.search(r":([^:\]]+)$", parts.netloc)
    if port:
        port_of(port[1])
    if not parts.hostname or "@" in parts.netloc:
        raise ValueError(f"{shown(text)} has no host, or a user name before it; write {example}")
    return text


def _heartbeat_url(text: str) -> str:
    """Return a URL that is a secret: no message repeats a part of it."""
    try:
        return _web_url(text)
    except ValueError:
        raise ValueError(
            "not an http(s) URL with a host, for example https://hc-ping.com/your-uuid"
        ) from None


def _public_url(text: str) -> str:
    if re.search("[?#]", text):
        raise ValueError(
            f"{shown(text)} has a query (after ?) or a fragment (after #), which no base of links "
            "can have; write for example https://tocsin.example"
        )
    url = _web_url(text).rstrip("/")
    check_prefix(urlsplit(url).path)
    return url


def _integrity(text: str) -> str:
    if not re.fullmatch(r"sha(256|384|512)-[A-Za-z0-9+/]+={0,2}", text):
        raise ValueError("not an integrity value such as sha384-…")
    return text


def _log_format(text: str) -> LogFormat:
    if text not in list(LogFormat):
        raise ValueError(f"{shown(text)} is neither {' nor '.join(LogFormat)}")
    return LogFormat(text)


PARSERS: dict[str, Callable[[str], object]] = {
    "TOCSIN_DATABASE_URL": database_of,
    "TOCSIN_BIND": parse_bind,
    "TOCSIN_WORKERS": partial(_number, 1, 32),
    "TOCSIN_THREADS": partial(_number, 2, 128),
    "TOCSIN_SENDERS": partial(_number, 0, 32),
    "TOCSIN_PIN_CORES": _flag,
    "TOCSIN_KEEP_DAYS": partial(_number, 1, 3650),
    "TOCSIN_KEEP_DELIVERIES": partial(_number, 1000, 100_000_000),
    "TOCSIN_SECRET_KEY": _secret_key,
    "TOCSIN_ENCRYPTION_KEYS": _encryption_keys,
    "TOCSIN_ALLOW_NETWORKS": partial(_list, allowed_target),
    "TOCSIN_CA_FILE": _ca_file,
    "TOCSIN_PUBLIC_URL": _public_url,
    "TOCSIN_ADMIN_PASSWORD": _admin_password,
    "TOCSIN_PROVISION": partial(_list, _provision_file),
    "TOCSIN_HEARTBEAT_URL": _heartbeat_url,
    "TOCSIN_TRUSTED_PROXIES": partial(_list, trusted_proxy),
    "TOCSIN_HTMX_URL": _web_url,
    "TOCSIN_HTMX_INTEGRITY": _integrity,
    "TOCSIN_LOG_FORMAT": _log_format,
    "TOCSIN_ACCESS_LOG": _flag,
}
