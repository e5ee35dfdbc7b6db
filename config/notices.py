"""Notices about variables without an effect."""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches

from config.variables import KNOWN_VARIABLES

# Part of the design, but without an effect in this version.
UNUSED_VARIABLES = ("TOCSIN_QUEUE_URL",)
_NAMES = [name.removeprefix("TOCSIN_") for name in sorted(KNOWN_VARIABLES)]
# Kubernetes sets TOCSIN_SERVICE_HOST, TOCSIN_PORT_8000_TCP and others for a service `tocsin`.
_OF_KUBERNETES = re.compile(
    r"(SERVICE_(HOST|PORT)(_\w+)?|PORT_[0-9]+_\w+)=.*|PORT=\w+://.*", re.DOTALL
)


def variable_notices(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for each variable that is set without an effect, or misspelt."""
    env = os.environ if environ is None else environ
    notices = []
    for name in sorted(filter(env.get, env)):
        prefix, _, rest = name.upper().partition("_")
        is_ours = rest and get_close_matches(prefix, ["TOCSIN"], cutoff=0.8)
        of_kubernetes = _OF_KUBERNETES.fullmatch(f"{rest}={env[name]}")
        if is_ours and name not in KNOWN_VARIABLES and not of_kubernetes:
            notices.append(_without_effect(name, rest))
    return notices


def _without_effect(name: str, rest: str) -> str:
    stem = rest.removesuffix("_FILE")
    if f"TOCSIN_{stem}" in UNUSED_VARIABLES:
        return f"{name} is set, but this version does not use it."
    notice = f"{name} is set, but there is no such variable, so it has no effect."
    similar = [stem] if stem in _NAMES else get_close_matches(rest, _NAMES, 1)
    for nearest in similar:
        notice += f" Did you mean TOCSIN_{nearest}?"
    return notice
