"""The configuration, read from environment variables.

Only this package reads the environment. `Config.from_env` parses the TOCSIN_ variables, and
`Config.with_keys` adds the two keys, which are generated in the data folder at the first start.
"""

import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

from config.database_url import DatabaseServer
from config.errors import ConfigError, config_errors
from config.key_files import create_if_missing, read_key_file, read_keys
from config.networks import AllowedTarget, Network
from config.notices import variable_notices
from config.values import PARSERS
from config.variables import SECRET_VARIABLES, with_files
from logs import LogFormat

VERSION = "0.1.0"
SECRET_KEY_FILE = "secret.key"
KEYS_FILE = "encryption.keys"
HTMX_URL = "https://cdn.jsdelivr.net/npm/htmx.org@4.0.1/dist/htmx.min.js"
HTMX_INTEGRITY = "sha384-Qp9rdC8H7EqOoX+nR0P3RPG2Noji+qdwJlGpfzwQJsfOpp3sGwIdSP9xO3+UlEhn"


def default_senders() -> int:
    """Return one worker for each core of this process, but at most four."""
    return min(4, len(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class Config:
    """The configuration. Times are seconds, paths are absolute."""

    data_dir: Path
    database: Path | DatabaseServer
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    threads: int = 8
    senders: int = field(default_factory=default_senders)
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
    provision: tuple[Path, ...] = ()
    heartbeat_url: str = field(default="", repr=False)
    trusted_proxies: tuple[Network, ...] = ()
    htmx_url: str = HTMX_URL
    htmx_integrity: str = HTMX_INTEGRITY
    log_format: LogFormat = LogFormat.TEXT
    access_log: bool = False

    @property
    def bind(self) -> str:
        """Return the host and the port to listen on, as TOCSIN_BIND has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

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
    def prefix(self) -> str:
        """Return the path of the public URL, such as `/tocsin`; empty if there is none."""
        return urlsplit(self.public_url).path

    @property
    def hosts(self) -> frozenset[str]:
        """Return the host names of the pages, in lower case. IP addresses are not listed."""
        public = urlsplit(self.public_url).hostname or "localhost"
        return frozenset({"localhost", self.host.lower(), public})

    @property
    def test_slots(self) -> int:
        """Return the number of tests that one web process runs at a time.

        Four or half the threads, whichever is more, but fewer than the threads; at least one.
        """
        return max(1, min(self.threads - 1, max(4, self.threads // 2)))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Config":
        """Return the configuration of the environment. Only the `…_FILE` files are read.

        Raises:
            ConfigError: a variable is invalid.
        """
        env = with_files(os.environ if environ is None else environ)
        data_dir = Path(env.get("TOCSIN_DATA_DIR") or "data").absolute()
        values: dict[str, Any] = {}
        if env.get("TOCSIN_HTMX_URL"):
            values["htmx_integrity"] = ""  # the default belongs to the default script
        for name, parse in PARSERS.items():
            if env.get(name):
                with config_errors(name):
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

    def create_database(self) -> None:
        """Create an empty database if there is none; call this before `with_keys`.

        On a server, the user has created it.

        No key file is ever older than the database, so a start that is interrupted leaves nothing
        that the next one refuses.

        Raises:
            ConfigError: a folder cannot be used, or the database of an earlier start is missing.
        """
        self._create_folder()
        if isinstance(self.database, Path):
            self._create_file(self.database)

    def _create_file(self, database: Path) -> None:
        keys = [name for name in (SECRET_KEY_FILE, KEYS_FILE) if (self.data_dir / name).exists()]
        folder = database.parent
        with config_errors("TOCSIN_DATABASE_URL", f"{database}: "):
            if not folder.is_dir():
                raise ValueError(
                    f"the folder {folder} does not exist; create it, mount it, or correct the path "
                    "(an absolute one has four slashes: sqlite:////var/lib/tocsin/tocsin.db)"
                )
            if database.is_dir():
                raise ValueError("this is a folder; name a file in it, for example tocsin.db")
            if database.exists():
                return
            if not keys:
                database.touch(0o600)
                return
        raise ConfigError(
            f"TOCSIN_DATA_DIR: the database {database} is missing, but {self.data_dir} has "
            f"the keys of an earlier start ({', '.join(keys)}). Check that the right folder is "
            f"mounted, or delete an old {database.name}-wal and restore "
            f"{database.name} from your backup. To start again without channels, move the "
            f"keys away, or keep them and run: touch {database}"
        )

    def with_keys(self, *, create: bool = True) -> "Config":
        """Return the configuration with both keys.

        Keys that no variable gives are read from the data folder, or generated there (mode 0600)
        if `create` is true. `keys_file` is the file of the encryption keys, None if the variable
        gives them.

        Raises:
            ConfigError: the folder cannot be written, or a key file is missing or invalid.
        """
        config = self
        if create:
            self._create_folder()
        if not self.secret_key:
            path = self.data_dir / SECRET_KEY_FILE
            if create:
                create_if_missing(path, secrets.token_urlsafe(48))
            config = replace(config, secret_key=read_key_file("TOCSIN_SECRET_KEY", path))
        if not self.encryption_keys:
            path = self.data_dir / KEYS_FILE
            if create:
                create_if_missing(path, Fernet.generate_key().decode())
            config = replace(config, encryption_keys=read_keys(path), keys_file=path)
        return config

    def _create_folder(self) -> None:
        with config_errors("TOCSIN_DATA_DIR", f"the folder {self.data_dir} cannot be used: "):
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
