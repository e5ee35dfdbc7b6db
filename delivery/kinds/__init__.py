"""The registry of kinds: every module in this folder that defines `KIND`."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from delivery.guard.url import ParsedUrl
from delivery.kinds.spec import Kind, RecognizedUrl


@cache
def kinds() -> Mapping[str, Kind]:
    """Return every kind by its name, sorted by label."""
    names = [f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)]
    modules = [importlib.import_module(name) for name in names]
    defined = [module.KIND for module in modules if hasattr(module, "KIND")]
    return {kind.name: kind for kind in sorted(defined, key=lambda kind: kind.label.lower())}


def keeps_incidents(name: str) -> bool:
    """Return True if the kind of this name keeps an incident for each alert; an unknown one not."""
    return name in kinds() and kinds()[name].keeps_incidents


def match_url(url: ParsedUrl) -> RecognizedUrl | None:
    """Return the kind that a pasted URL belongs to, if any; a certain match beats a guess."""
    guess = None
    for kind in kinds().values():
        recognized = kind.match_url(url)
        if recognized and recognized.certain:
            return recognized
        guess = guess or recognized
    return guess
