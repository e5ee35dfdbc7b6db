"""The configuration, read from environment variables.

Only this module reads the environment. `Config.from_env` parses the TOCSIN_ variables, and
`Config.with_keys` adds the two keys, which are generated in the data folder at the first start.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

from config_values import PARSERS, AllowedTarget, Network

VERSION = "0.1.0"
HTMX_URL = "https://cdn.jsdelivr.net/npm/htmx.org@4.0.1/dist/htmx.min.js"
HTMX_INTEGRITY = "sha384-Qp9rdC8H7EqOoX+nR0P3RPG2Noji+qdwJlGpfzwQJsfOpp3sGwIdSP9xO3+UlEhn"

# Part of the design, but without an effect in this version.
UNUSED_VARIABLES = ("TOCSIN_QUEUE_URL", "TOCSIN_PROVISION")
# Each of these may also be set as `…_FILE`, the path of a file.
SECRET_VARIABLES = (
    "TOCSIN_DATABASE_URL",
    "TOCSIN_SECRET_KEY",
    "TOCSIN_ENCRYPTION_KEYS",
    "TOCSIN_ADMIN_PASSWORD",
)


class ConfigError(ValueError):
    """A variable is invalid; the message begins with its name."""


@dataclass(frozen=True)
class Config:
    """The configuration. Times are seconds, paths are absolute."""

    data_dir: Path
    database: Path
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    threads: int = 8
    pin_cores: bool = False
    keep_days: int = 30
    keep_deliveries: int = 200_000
    secret_key: str = ""
    encryption_keys: tuple[str, ...] = ()
    keys_file: Path | None = field(default=None, compare=False)
    allow: tuple[AllowedTarget, ...] = ()
    ca_file: Path | None = None
    public_url: str = ""
    admin_password: str = field(default="", repr=False)
    trusted_proxies: tuple[Network, ...] = ()
    htmx_url: str = HTMX_URL
    htmx_integrity: str = HTMX_INTEGRITY

    @property
    def address(self) -> str:
        """Return the address of the pages for a browser on this machine."""
        host = self.host
        if not host.strip("0.:"):  # bound to all addresses of this machine
            host = "::1" if ":" in host else "127.0.0.1"
        if ":" in host:
            host = f"[{host}]"
        return f"http://{host}:{self.port}/"

    @property
    def base_url(self) -> str:
        """Return the URL of the pages for users, without a trailing slash."""
        return self.public_url or self.address.rstrip("/")

    @property
    def hosts(self) -> frozenset[str]:
        """Return the host names of the pages, in lower case. IP addresses are not listed."""
        public = urlsplit(self.public_url).hostname or "localhost"
        return frozenset({"localhost", self.host.lower(), public})

    @property
    def test_slots(self) -> int:
        """Return the number of tests that one web process runs at a time.

        Four or half the threads, whichever is more, but fewer than the threads.
        """
        return min(self.threads - 1, max(4, self.threads // 2))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Config":
        """Return the configuration of the environment. Only the `…_FILE` files are read.

        Raises:
            ConfigError: a variable is invalid.
        """
        env = _with_files(os.environ if environ is None else environ)
        data_dir = Path(env.get("TOCSIN_DATA_DIR") or "data").absolute()
        values: dict[str, Any] = {}
        if env.get("TOCSIN_HTMX_URL"):
            values["htmx_integrity"] = ""  # the default belongs to the default script
        for name, parse in PARSERS.items():
            if env.get(name):
                with _config_errors(name):
                    values[name.removeprefix("TOCSIN_").lower()] = parse(env[name])
        host, port = values.pop("bind", (cls.host, cls.port))
        return cls(
            data_dir=data_dir,
            database=values.pop("database_url", data_dir / "tocsin.db"),
            host=host,
            port=port,
            allow=values.pop("allow_networks", ()),
            **values,
        )

    def with_keys(self) -> "Config":
        """Return the configuration with both keys.

        Keys that no variable gives are read from the data folder, or generated there (mode 0600).
        `keys_file` is the file of the encryption keys, None if the variable gives them.

        Raises:
            ConfigError: the folder cannot be written, or a key file is invalid.
        """
        config = self
        with _config_errors("TOCSIN_DATA_DIR", f"the folder {self.data_dir} cannot be used: "):
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.secret_key:
            path = self.data_dir / "secret.key"
            _create_if_missing(path, secrets.token_urlsafe(48))
            config = replace(config, secret_key=_read_key_file("TOCSIN_SECRET_KEY", path))
        if not self.encryption_keys:
            path = self.data_dir / "encryption.keys"
            _create_if_missing(path, Fernet.generate_key().decode())
            config = replace(config, encryption_keys=read_keys(path), keys_file=path)
        return config


def unused_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the variables that are set without an effect in this version."""
    env = os.environ if environ is None else environ
    return [name for name in UNUSED_VARIABLES if env.get(name) or env.get(f"{name}_FILE")]


def read_keys(path: Path) -> tuple[str, ...]:
    """Return the encryption keys in a file; the first one encrypts.

    Raises:
        ConfigError: the file cannot be read or holds no valid keys.
    """
    return _read_key_file("TOCSIN_ENCRYPTION_KEYS", path)


# --- reading --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _config_errors(name: str, context: str = "") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{name}: {context}{error.strerror or error}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: {context}the file is not text") from None
    except ValueError as error:
        raise ConfigError(f"{name}: {context}{error}") from None


def _with_files(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables; a secret may come from the file that `…_FILE` names."""
    env = dict(environ)
    for name in SECRET_VARIABLES:
        env[name] = env.get(name, "").strip()
        path = env.get(f"{name}_FILE")
        if path and env[name]:
            raise ConfigError(f"{name}: set either this or {name}_FILE, not both")
        if path:
            with _config_errors(f"{name}_FILE", f"{path}: "):
                env[name] = Path(path).read_text().strip()
                if not env[name]:
                    raise ValueError("the file is empty")
    return env


def _create_if_missing(path: Path, text: str) -> None:
    """Write a key file that only its owner can read, unless the file exists."""
    with _config_errors("TOCSIN_DATA_DIR", f"{path}: "), contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(descriptor)


def _read_key_file(name: str, path: Path) -> Any:
    with _config_errors(name, f"{path}: "):
        text = path.read_text().strip()
        if not text:
            raise ValueError("the file is empty; restore the key")
        return PARSERS[name](text)
