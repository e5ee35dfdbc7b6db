"""The log: standard error, as text in lines like gunicorn's, or as JSON, an object a line."""

import contextlib
import json
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum

LINE = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
TIME = "[%Y-%m-%d %H:%M:%S %z]"
# What a line may carry beside its message, by `extra`; text has them behind the message.
FIELDS = (
    "request_id",
    "delivery_id",
    "channel_id",
    "attempt",
    "verdict",
    "reason",
    "method",
    "path",
    "status",
    "address",
    "milliseconds",
)

_request_id: ContextVar[str] = ContextVar("request_id", default="")


class LogFormat(StrEnum):
    """The format of the lines."""

    TEXT = "text"
    JSON = "json"


def request_id() -> str:
    """Return the id of the request that this thread handles; empty outside of one."""
    return _request_id.get()


@contextlib.contextmanager
def handling(number: str) -> Iterator[None]:
    """Add the id of a request to every line of the block."""
    token = _request_id.set(number)
    try:
        yield
    finally:
        _request_id.reset(token)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what a line carries beside its message."""
    found = {name: record.__dict__[name] for name in FIELDS if name in record.__dict__}
    if _request_id.get():
        found["request_id"] = _request_id.get()
    return found


class TextFormatter(logging.Formatter):
    """A line of text, with its fields behind the message."""

    def __init__(self) -> None:
        super().__init__(LINE, TIME)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        text = super().format(record)
        for name, value in fields_of(record).items():
            text += f" {name}={value}"
        return text


class JsonFormatter(logging.Formatter):
    """A JSON object in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        time = datetime.fromtimestamp(record.created, UTC)
        members = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": record.process,
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            members["traceback"] = self.formatException(record.exc_info)
        return json.dumps(members, ensure_ascii=False, default=str)


def formatter_of(log_format: LogFormat) -> logging.Formatter:
    """Return what writes lines in a format."""
    return JsonFormatter() if log_format == LogFormat.JSON else TextFormatter()


def log_to_stderr(log_format: LogFormat = LogFormat.TEXT) -> None:
    """Write what this process logs to standard error, with time, process and level.

    A line that cannot be written is lost: logging would print the failure with what caused it,
    and that may quote a secret. The last call decides on the format.
    """
    logging.raiseExceptions = False
    logger = logging.getLogger("tocsin")
    logger.setLevel(logging.INFO)
    if not logger.handlers:  # a fork has those of its parent
        logger.addHandler(logging.StreamHandler())
    for handler in logger.handlers:
        handler.setFormatter(formatter_of(log_format))
