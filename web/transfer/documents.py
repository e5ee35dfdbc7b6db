"""Files of channels: the form in which export writes them, and import reads them."""

from typing import Any

from web.transfer.export import FORMAT
from web.transfer.reading import FileError, Mapping, read_file

_MEMBERS = ("tocsin", "channels")


def read_channels(text: str) -> list[Mapping]:
    """Return the entries of a file of channels.

    Raises:
        FileError: it is no such file; the message has the line.
    """
    document = read_file(text)
    if not isinstance(document, Mapping) or "channels" not in document:
        message = "this is no file of channels: it begins with “tocsin: 1” and has “channels:”."
        raise FileError(1, message)
    for name in document:
        if name not in _MEMBERS:
            raise FileError(document.line_of(name), f"there is no member “{name}” here.")
    if document.get("tocsin") != FORMAT:
        message = f"“tocsin” is the format of the file; this version reads {FORMAT}."
        raise FileError(document.line_of("tocsin"), message)
    return _entries(document)


def _entries(document: Mapping) -> list[Mapping]:
    channels: Any = document["channels"] or []
    if not isinstance(channels, list):
        raise FileError(document.line_of("channels"), "“channels” must be a list.")
    for channel in channels:
        if not isinstance(channel, Mapping):
            message = "each entry of “channels” must have members, such as a name."
            raise FileError(document.line_of("channels"), message)
    return channels
