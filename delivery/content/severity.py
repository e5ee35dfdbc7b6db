"""The severity of an alert, from the words that people write."""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache


class Severity(StrEnum):
    """How severe an alert is, the most severe first."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


DEFAULT_SEVERITY = Severity.ERROR
RESOLVED_COLOR = "2e8540"
COLORS = {
    Severity.CRITICAL: "d0342c",
    Severity.ERROR: "e8590c",
    Severity.WARNING: "e0a100",
    Severity.INFO: "2b6cb0",
}
SEVERITY_LABELS = ("severity", "priority")
_MAX_LENGTH = 200
_WORDS = {
    Severity.CRITICAL: "critical crit fatal emergency emerg alert panic page pager disaster "
    "blocker catastrophic down highest unreachable urgent",
    Severity.ERROR: "error err high major severe",
    Severity.WARNING: "warning warn medium moderate minor average degraded noncritical nonurgent",
    Severity.INFO: "info information informational low lowest notice debug trace trivial none "
    "normal ok okay healthy",
}
_BY_WORD = {word: severity for severity, words in _WORDS.items() for word in words.split()}
_RANKS = {severity: rank for rank, severity in enumerate(Severity)}
_NEGATIONS = {"not", "non"}
_NEGATED = re.compile(r"(?<![a-z])no[nt][\W_]+(?=(critical|urgent)(?![a-z]))")
# P0 to P5 and SEV-0 to SEV-5, however they are spelled.
_NUMBERED = re.compile(r"(?<![a-z0-9])(?:p|s|sev|severity|prio|priority)[\W_]*([0-5])(?![0-9])")
_BY_NUMBER = (
    Severity.CRITICAL,
    Severity.CRITICAL,
    Severity.ERROR,
    Severity.WARNING,
    Severity.INFO,
    Severity.INFO,
)


@lru_cache(maxsize=1024)
def read_severity(text: str) -> Severity | None:
    """Return the severity that a text names, such as `SEV-1` or `P1 - Critical`; None if none."""
    lowered = text[:_MAX_LENGTH].lower()
    number = _NUMBERED.search(lowered)
    if number:
        return _BY_NUMBER[int(number[1])]
    words = re.findall("[a-z]+", _NEGATED.sub("non", lowered))
    if _NEGATIONS & set(words):
        return None
    return next((_BY_WORD[word] for word in words if word in _BY_WORD), None)


def severity_of(labels: Mapping[str, str]) -> Severity | None:
    """Return the severity that the labels name, None if they name none."""
    for name in SEVERITY_LABELS:
        severity = read_severity(labels.get(name, ""))
        if severity:
            return severity
    return None


def severity_rank(severity: Severity) -> int:
    """Return 0 for the most severe one, and more for the others."""
    return _RANKS[severity]


def urgency_of(labels: Mapping[str, str]) -> int:
    """Return the place of an alert in the order of sending: 0 for the first ones."""
    return severity_rank(severity_of(labels) or DEFAULT_SEVERITY)
