"""What receivers speak: one file each. A module of this folder with a `KIND` is a kind, and needs no other change."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from delivery.alert import Alert
from delivery.answer import Answer, Judgement, by_status
from delivery.settings import Settings
from delivery.target import Target


@dataclass(frozen=True)
class Event:
    """What a message tells: an alert, the number of its delivery, the time (epoch milliseconds), whether it is a repeat."""

    alert: Alert
    number: int
    at: int
    repeated: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of receiver.

    `uses` names the form's fields that only some kinds have (`method`, `payload`); `body` gives the message's text,
    `complete` the target that is really requested, `judge` what an answer means (given no redirect and no answer that broke
    off). All are total.
    """

    name: str
    label: str
    help: str
    url_help: str
    body: Callable[[Settings, Event], str]
    complete: Callable[[Target], Target] = lambda target: target
    uses: frozenset[str] = frozenset()
    judge: Callable[[Answer], Judgement] = by_status


@cache
def kinds() -> Mapping[str, Kind]:
    """Every kind by its name, in the order of the labels."""
    found = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return {kind.name: kind for kind in sorted((module.KIND for module in found), key=lambda kind: kind.label.lower())}
