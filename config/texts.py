"""What every parser of a value needs: quoting it, and a port."""

import re

MAX_SHOWN_LENGTH = 80


def shown(text: str) -> str:
    """Return the beginning of a value, quoted."""
    return repr(text[:MAX_SHOWN_LENGTH])


def port_of(text: str) -> int:
    """Return a port.

    Raises:
        ValueError: the text is none.
    """
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError(f"the port {shown(text)} is not a number from 1 to 65535")
    return int(text)
