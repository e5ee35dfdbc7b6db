"""The names of the variables, and those that a file gives."""

from collections.abc import Mapping
from pathlib import Path

from config.errors import ConfigError, config_errors
from config.values import PARSERS

# Each of these may also be set as `…_FILE`, the path of a file.
SECRET_VARIABLES = (
    "TOCSIN_DATABASE_URL",
    "TOCSIN_SECRET_KEY",
    "TOCSIN_ENCRYPTION_KEYS",
    "TOCSIN_ADMIN_PASSWORD",
    "TOCSIN_HEARTBEAT_URL",
)

KNOWN_VARIABLES = {
    "TOCSIN_DATA_DIR",
    *PARSERS,
    *(f"{name}_FILE" for name in SECRET_VARIABLES),
}


def with_files(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables; a secret may come from the file that `…_FILE` names."""
    env = dict(environ)
    for name in SECRET_VARIABLES:
        env[name] = env.get(name, "").strip()
        path = env.get(f"{name}_FILE")
        if path and env[name]:
            raise ConfigError(f"{name}: set either this or {name}_FILE, not both")
        if path:
            with config_errors(f"{name}_FILE", f"{path}: "):
                env[name] = Path(path).read_text().strip()
                if not env[name]:
                    raise ValueError("the file is empty")
    return env
