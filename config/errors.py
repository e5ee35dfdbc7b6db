"""An invalid configuration."""

import contextlib
from collections.abc import Iterator


class ConfigError(ValueError):
    """A variable is invalid; the message begins with its name."""


@contextlib.contextmanager
def config_errors(name: str, context: str = "") -> Iterator[None]:
    """Raise what happens in the block as a ConfigError of the variable `name`."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{name}: {context}{error.strerror or error}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: {context}the file is not text") from None
    except ValueError as error:
        raise ConfigError(f"{name}: {context}{error}") from None
