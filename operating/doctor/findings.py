"""What a check has found."""

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How bad a finding is. Only a problem makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """The result of a check: its subject, what is so, and what to do (empty if nothing)."""

    subject: str
    level: Level
    text: str
    advice: str = ""


def fine(subject: str, text: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(subject, Level.OK, text)


def warning(subject: str, text: str, advice: str) -> Finding:
    """Return a finding that may need something."""
    return Finding(subject, Level.WARNING, text, advice)


def problem(subject: str, text: str, advice: str) -> Finding:
    """Return a finding that needs something now."""
    return Finding(subject, Level.PROBLEM, text, advice)
