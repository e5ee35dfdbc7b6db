"""A tolerant view of JSON: what is missing or of the wrong type is empty."""

from collections.abc import Iterator

from delivery.alerts.alert import to_text


class Part:
    """A JSON value, of which any member may be missing or of the wrong type."""

    def __init__(self, value: object):
        self.value = value

    def __bool__(self) -> bool:
        return bool(self.value)

    def _member(self, name: str) -> object:
        return self.value.get(name) if isinstance(self.value, dict) else None

    def part(self, name: str) -> "Part":
        """Return a member."""
        return Part(self._member(name))

    def text(self, name: str) -> str:
        """Return a member that is a string; empty for any other."""
        value = self._member(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int | None:
        """Return a member that is a whole number of at most 15 digits; None for any other."""
        value = self._member(name)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        return value if abs(value) < 10**15 else None

    def is_true(self, name: str) -> bool:
        """Return True if a member is true or 1."""
        return self._member(name) in (True, 1)

    def parts(self, name: str) -> "list[Part]":
        """Return the items of a member that is a list; none for any other."""
        value = self._member(name)
        return [Part(item) for item in value] if isinstance(value, list) else []

    def texts(self, name: str) -> list[str]:
        """Return the strings in a member that is a list."""
        return [part.value for part in self.parts(name) if isinstance(part.value, str)]

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield the names and the texts of the members; other values are JSON."""
        if isinstance(self.value, dict):
            for name, value in self.value.items():
                yield name, to_text(value)
