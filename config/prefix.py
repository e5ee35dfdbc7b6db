"""The path of TOCSIN_PUBLIC_URL, below which a proxy serves Tocsin."""

import re

# The first parts of the paths of Tocsin itself. With one of them as the prefix, it would be unclear
# whether the proxy has taken the prefix off.
OWN_PARTS = frozenset(
    {
        "-",
        "account",
        "alerts",
        "api",
        "audit",
        "channels",
        "deliveries",
        "healthz",
        "ingest",
        "lab",
        "login",
        "logout",
        "metrics",
        "people",
        "pulse",
        "readyz",
        "replays",
        "setup",
        "silences",
        "static",
        "t",
        "tokens",
    }
)


def check_prefix(path: str) -> None:
    """Check the path, without a slash at its end; it may be empty.

    Raises:
        ValueError: links cannot begin with it.
    """
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path) or re.search(r"/\.\.?(/|$)", path):
        raise ValueError(
            f"it has the path {path!r}; write one of letters, digits and hyphens, for example "
            "https://tools.example/tocsin"
        )
    if path.lstrip("/").split("/")[0] in OWN_PARTS:
        raise ValueError(
            f"the path {path} begins like a page of Tocsin itself; choose another one, for example "
            "https://tools.example/tocsin"
        )
