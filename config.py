"""The one reader of the environment.

`Config.from_env` turns the TOCSIN_ variables into typed values and refuses nonsense by the variable's name;
`Config.with_keys` adds the two keys, generating them in the data folder at the first start.
"""

import base64
import contextlib
import ipaddress
import os
import re
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

VERSION = "0.1.0"
HTMX_URL = "https://cdn.jsdelivr.net/npm/htmx.org@4.0.1/dist/htmx.min.js"
HTMX_INTEGRITY = "sha384-Qp9rdC8H7EqOoX+nR0P3RPG2Noji+qdwJlGpfzwQJsfOpp3sGwIdSP9xO3+UlEhn"

# Named in the design, read by later versions. Who sets one today is told that it does nothing yet.
NOT_YET = ("TOCSIN_QUEUE_URL", "TOCSIN_PROVISION")
MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 8, 1000

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ConfigError(ValueError):
    """A variable has a value that Tocsin cannot start with; the text begins with the variable's name."""


@dataclass(frozen=True)
class Permission:
    """One entry of TOCSIN_ALLOW_NETWORKS: a network or a host name, on one port or on all."""

    network: Network | None = None
    host: str | None = None
    port: int | None = None


@dataclass(frozen=True)
class Config:
    """Everything that the environment decides. Times are seconds, paths absolute."""

    data_dir: Path
    database: Path
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    threads: int = 8
    pin_cores: bool = False
    secret_key: str = ""
    encryption_keys: tuple[str, ...] = ()
    keys_file: Path | None = field(default=None, compare=False)
    allow: tuple[Permission, ...] = ()
    ca_file: Path | None = None
    public_url: str = ""
    admin_password: str = field(default="", repr=False)
    trusted_proxies: tuple[Network, ...] = ()
    htmx_url: str = HTMX_URL
    htmx_integrity: str = HTMX_INTEGRITY

    @property
    def address(self) -> str:
        """The address that a person opens in a browser on this machine."""
        here = self.host
        if here.strip("0.:") == "":  # every address of this machine, so this one too
            here = "::1" if ":" in here else "127.0.0.1"
        return f"http://{f'[{here}]' if ':' in here else here}:{self.port}/"

    @property
    def base_url(self) -> str:
        """Where people reach the pages, without a slash at the end."""
        return self.public_url or self.address.rstrip("/")

    @property
    def hosts(self) -> frozenset[str]:
        """The names that the pages are served under, in small letters; addresses need no name."""
        public = urlsplit(self.public_url).hostname or "localhost"
        return frozenset({"localhost", self.host.lower(), public.lower()})

    @property
    def public_https(self) -> bool:
        """Whether people reach Tocsin by https, as TOCSIN_PUBLIC_URL says."""
        return self.public_url.startswith("https://")

    @property
    def test_slots(self) -> int:
        """How many tests one web process runs at once: four or half the threads, and always fewer than the threads."""
        return min(self.threads - 1, max(4, self.threads // 2))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Config":
        """Reads the variables (the process's own by default). Raises ConfigError; touches no file but `…_FILE` ones."""
        env = os.environ if environ is None else environ
        data_dir = Path(env.get("TOCSIN_DATA_DIR") or "data").absolute()
        host, port = _bind(env.get("TOCSIN_BIND") or "127.0.0.1:8000")
        return cls(
            data_dir=data_dir,
            database=_database(_secret(env, "TOCSIN_DATABASE_URL"), data_dir),
            host=host,
            port=port,
            workers=_number(env, "TOCSIN_WORKERS", 2, 1, 32),
            threads=_number(env, "TOCSIN_THREADS", 8, 2, 128),
            pin_cores=bool(_number(env, "TOCSIN_PIN_CORES", 0, 0, 1)),
            secret_key=_secret_key(_secret(env, "TOCSIN_SECRET_KEY")),
            encryption_keys=_encryption_keys(_secret(env, "TOCSIN_ENCRYPTION_KEYS")),
            allow=tuple(map(_permission, _listed(env, "TOCSIN_ALLOW_NETWORKS"))),
            ca_file=_ca_file(env.get("TOCSIN_CA_FILE", "")),
            public_url=_web_url(env, "TOCSIN_PUBLIC_URL", "").rstrip("/"),
            admin_password=_admin_password(_secret(env, "TOCSIN_ADMIN_PASSWORD")),
            trusted_proxies=tuple(map(_proxy, _listed(env, "TOCSIN_TRUSTED_PROXIES"))),
            htmx_url=_web_url(env, "TOCSIN_HTMX_URL", HTMX_URL),
            htmx_integrity=_integrity(env),
        )

    def with_keys(self) -> "Config":
        """The same with both keys, read from the data folder or generated there (mode 0600) when the variables are absent.

        `keys_file` is the file that the encryption keys came from, None when the variable gives them. Raises ConfigError when
        the folder cannot be written or a key file holds no key.
        """
        with _plain_failure("TOCSIN_DATA_DIR", f"the folder {self.data_dir} cannot be used"):
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            secret_key = self.secret_key or _secret_key(
                _kept(self.data_dir / "secret.key", secrets.token_urlsafe(48))
            )
            if self.encryption_keys:
                return replace(self, secret_key=secret_key)
            fresh = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
            file = self.data_dir / "encryption.keys"
            keys = _encryption_keys(_kept(file, fresh))
        return replace(self, secret_key=secret_key, encryption_keys=keys, keys_file=file)


def unused_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """The variables that are set although this version does not use them yet."""
    env = os.environ if environ is None else environ
    return [name for name in NOT_YET if env.get(name) or env.get(f"{name}_FILE")]


def read_keys(path: Path) -> tuple[str, ...]:
    """The encryption keys in a file, the one that seals first. Raises ConfigError when it cannot be read or holds none."""
    with _plain_failure("TOCSIN_ENCRYPTION_KEYS", f"{path} cannot be read"):
        keys = _encryption_keys(path.read_text())
    if not keys:
        raise ConfigError(f"TOCSIN_ENCRYPTION_KEYS: {path} is empty; put the keys back")
    return keys


@contextlib.contextmanager
def _plain_failure(name, words):
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{name}: {words}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: {words}: it holds no text") from error


def _kept(path: Path, fresh: str) -> str:
    """The content of a key file; written first, readable by its owner alone, when there is none."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        text = path.read_text().strip()
        if not text:
            raise ConfigError(
                f"TOCSIN_DATA_DIR: {path} is empty; put the key back, or delete it to begin anew"
            ) from None
        return text
    with os.fdopen(descriptor, "w") as file:
        file.write(fresh + "\n")
        file.flush()
        os.fsync(descriptor)
    return fresh


def _secret(env, name: str) -> str:
    if env.get(name) and env.get(f"{name}_FILE"):
        raise ConfigError(f"{name}: set it or {name}_FILE, not both")
    if not env.get(f"{name}_FILE"):
        return env.get(name, "").strip()
    with _plain_failure(f"{name}_FILE", "cannot be read"):
        text = Path(env[f"{name}_FILE"]).read_text().strip()
    if not text:
        raise ConfigError(f"{name}_FILE: {env[f'{name}_FILE']} is empty")
    return text


def _bind(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:]+)\]|([^:\[\]]+)):([0-9]{1,5})", text)
    if not match or not 1 <= int(match[3]) <= 65535:
        raise ConfigError(f"TOCSIN_BIND: {text!r} is not host:port, for example 127.0.0.1:8000")
    host = match[1] or match[2]
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(host)), int(match[3])
    if host.replace(".", "").isdigit() or not re.fullmatch(
        r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", host
    ):
        raise ConfigError(f"TOCSIN_BIND: {host!r} is neither an address nor a host name")
    return host, int(match[3])


def _database(url: str, data_dir: Path) -> Path:
    if not url:
        return data_dir / "tocsin.db"
    match = re.fullmatch(r"sqlite:///([^?#]+)", url)
    if not match:
        raise ConfigError(
            "TOCSIN_DATABASE_URL: this version keeps its data in SQLite; use sqlite:////path/to/file.db"
        )
    return Path(match[1]).absolute()


def _number(env, name: str, default: int, least: int, most: int) -> int:
    text = env.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
        raise ConfigError(f"{name}: {text!r} is not a whole number from {least} to {most}")
    return int(text)


def _listed(env, name: str) -> list[str]:
    return list(filter(None, map(str.strip, env.get(name, "").split(","))))


def _admin_password(text: str) -> str:
    if text and not MIN_PASSWORD_LENGTH <= len(text) <= MAX_PASSWORD_LENGTH:
        raise ConfigError(
            f"TOCSIN_ADMIN_PASSWORD: use {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters"
        )
    return text


def _proxy(entry: str) -> Network:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        raise ConfigError(
            f"TOCSIN_TRUSTED_PROXIES: {entry!r} is neither an address nor a network (10.0.0.0/8)"
        ) from None


def _secret_key(text: str) -> str:
    if text and len(text) < 16:
        raise ConfigError("TOCSIN_SECRET_KEY: too short; use 16 characters or more, made by chance")
    return text


def _encryption_keys(text: str) -> tuple[str, ...]:
    keys = tuple(re.split(r"[\s,]+", text.strip())) if text.strip() else ()
    for key in keys:
        if not re.fullmatch(r"[A-Za-z0-9_-]{43}=", key):
            raise ConfigError(
                "TOCSIN_ENCRYPTION_KEYS: a key is 32 bytes in URL-safe base64 (44 characters ending in =)"
            )
    return keys


def _permission(entry: str) -> Permission:
    """`10.0.0.0/8`, `[fd00::]/8`, `::1`, `127.0.0.1:9000`, `[::1]:9000`, `10.0.0.0/8:9093`, `alertmanager`, `nas.lan:8080`."""
    match = re.fullmatch(r"(\[[^\[\]]*\][^:]*|[^:\[\]]*):([0-9]{1,5})", entry)
    place, port = (match[1], int(match[2])) if match else (entry, None)
    if port is None or 1 <= port <= 65535:
        with contextlib.suppress(ValueError):
            bare = re.sub(r"^\[([^\]]*)\](?=/|$)", r"\1", place)
            return Permission(network=ipaddress.ip_network(bare, strict=False), port=port)
        host = re.fullmatch(r"([A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?)\.?", place)
        if host and not host[1].replace(".", "").isdigit():
            return Permission(host=host[1].lower(), port=port)
    raise ConfigError(
        f"TOCSIN_ALLOW_NETWORKS: {entry!r} is neither a network (10.0.0.0/8), an address nor a host name"
    )


def _ca_file(text: str) -> Path | None:
    if not text:
        return None
    with _plain_failure("TOCSIN_CA_FILE", "cannot be read"):
        try:
            ssl.create_default_context(cafile=text)
        except ssl.SSLError:
            raise ConfigError(f"TOCSIN_CA_FILE: {text} holds no certificate in PEM form") from None
    return Path(text).absolute()


def _web_url(env, name: str, default: str) -> str:
    text = env.get(name) or default
    with contextlib.suppress(ValueError):
        parts = urlsplit(text)
        # It stands in a header (the content security policy), so nothing in it may end a directive.
        possible = parts.port != 0 and parts.scheme in ("http", "https") and parts.hostname
        if not text or (possible and not re.search(r"[\s;,'\"]", text)):
            return text
    raise ConfigError(f"{name}: {text!r} is not an http or https address")


def _integrity(env) -> str:
    text = env.get("TOCSIN_HTMX_INTEGRITY") or (
        "" if env.get("TOCSIN_HTMX_URL") else HTMX_INTEGRITY
    )
    if text and not re.fullmatch(r"sha(256|384|512)-[A-Za-z0-9+/]+={0,2}", text):
        raise ConfigError("TOCSIN_HTMX_INTEGRITY: not an integrity value such as sha384-…")
    return text
