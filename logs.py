"""The log: standard error, in lines like gunicorn's."""

import logging

LINE = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
TIME = "[%Y-%m-%d %H:%M:%S %z]"


def log_to_stderr() -> None:
    """Write what this process logs to standard error, with time, process and level.

    A line that cannot be written is lost: logging would print the failure with what caused it,
    and that may quote a secret.
    """
    logging.raiseExceptions = False
    logger = logging.getLogger("tocsin")
    logger.setLevel(logging.INFO)
    if not logger.handlers:  # a fork has those of its parent
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(LINE, TIME))
        logger.addHandler(handler)
