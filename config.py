"""The configuration, read from environment variables.

Only this module reads the environment. `Config.from_env` parses the TOCSIN_ variables, and
`Config.with_keys` adds the two keys, which are generated in the data folder at the first start.
"""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

from config_values import PARSERS, AllowedTarget, DatabaseServer, Network

VERSION = "0.1.0"
SECRET_KEY_FILE = "secret.key"
KEYS_FILE = "encryption.keys"
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


_KNOWN_VARIABLES = {
    "TOCSIN_DATA_DIR",
    *PARSERS,
    *(f"{name}_FILE" for name in SECRET_VARIABLES),
}
_NAMES = [name.removeprefix("TOCSIN_") for name in sorted(_KNOWN_VARIABLES)]
# Kubernetes sets TOCSIN_SERVICE_HOST, TOCSIN_PORT_8000_TCP and others for a service `tocsin`.
_OF_KUBERNETES = re.compile(
    r"(SERVICE_(HOST|PORT)(_\w+)?|PORT_[0-9]+_\w+)=.*|PORT=\w+://.*", re.DOTALL
)


def default_senders() -> int:
    """Return one worker for each core of this process, but at most four."""
    return min(4, len(os.sched_getaffinity(0)))


class ConfigError(ValueError):
    """A variable is invalid; the message begins with its name."""


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
    trusted_proxies: tuple[Network, ...] = ()
    htmx_url: str = HTMX_URL
    htmx_integrity: str = HTMX_INTEGRITY

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
        with _config_errors("TOCSIN_DATABASE_URL", f"{database}: "):
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
                _create_if_missing(path, secrets.token_urlsafe(48))
            config = replace(config, secret_key=_read_key_file("TOCSIN_SECRET_KEY", path))
        if not self.encryption_keys:
            path = self.data_dir / KEYS_FILE
            if create:
                _create_if_missing(path, Fernet.generate_key().decode())
            config = replace(config, encryption_keys=read_keys(path), keys_file=path)
        return config

    def _create_folder(self) -> None:
        with _config_errors("TOCSIN_DATA_DIR", f"the folder {self.data_dir} cannot be used: "):
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


def variable_notices(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for each variable that is set without an effect, or misspelt."""
    env = os.environ if environ is None else environ
    notices = []
    for name in sorted(filter(env.get, env)):
        prefix, _, rest = name.upper().partition("_")
        is_ours = rest and get_close_matches(prefix, ["TOCSIN"], cutoff=0.8)
        of_kubernetes = _OF_KUBERNETES.fullmatch(f"{rest}={env[name]}")
        if is_ours and name not in _KNOWN_VARIABLES and not of_kubernetes:
            notices.append(_without_effect(name, rest))
    return notices


def _without_effect(name: str, rest: str) -> str:
    stem = rest.removesuffix("_FILE")
    if f"TOCSIN_{stem}" in UNUSED_VARIABLES:
        return f"{name} is set, but this version does not use it."
    notice = f"{name} is set, but there is no such variable, so it has no effect."
    similar = [stem] if stem in _NAMES else get_close_matches(rest, _NAMES, 1)
    for nearest in similar:
        notice += f" Did you mean TOCSIN_{nearest}?"
    return notice


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
