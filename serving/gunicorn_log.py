"""gunicorn's own lines, in the format of Tocsin's."""

from typing import Any

from gunicorn.glogging import Logger

from config import Config
from logs import formatter_of


class Log(Logger):
    """Logs what gunicorn reports; requests are logged by `web.request_ids`."""

    def setup(self, cfg: Any) -> None:
        """Set up gunicorn's log, and then its format."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter_of(Config.from_env().log_format))
