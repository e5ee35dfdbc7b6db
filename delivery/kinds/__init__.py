"""What receivers speak: one file each. A module of this folder with a `KIND` is a kind, and needs no other change."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from delivery.guard.url import ParsedUrl
from delivery.kinds.spec import Kind, RecognizedUrl


@cache
def kinds() -> Mapping[str, Kind]:
    """Every kind by its name, in the order of the labels."""
    modules = [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
    ]
    found = [module.KIND for module in modules if hasattr(module, "KIND")]
    return {kind.name: kind for kind in sorted(found, key=lambda kind: kind.label.lower())}


def match_url(target: ParsedUrl) -> RecognizedUrl | None:
    """The kind that a URL belongs to; one with a host of its own before a guess."""
    found = [pasted for kind in kinds().values() if (pasted := kind.match_url(target))]
    return next((pasted for pasted in found if pasted.certain), found[0] if found else None)
