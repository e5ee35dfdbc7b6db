"""A tolerant view of JSON: what is missing or of the wrong type is empty."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from delivery.alerts.alert import to_text

_MAX_NUMBER = 10**15


@dataclass(frozen=True)
class Part:
    """A JSON value, of which any member may be missing or of the wrong type.

    `mask` hides secrets in each text.
    """

    value: object
    mask: Callable[[str], str] = str

    def _member(self, name: str) -> object:
        return self.value.get(name) if isinstance(self.value, dict) else None

    def part(self, name: str) -> "Part":
        """Return a member."""
        return Part(self._member(name), self.mask)

    def string(self) -> str:
        """Return the value if it is a string; empty for any other."""
        return self.mask(self.value) if isinstance(self.value, str) else ""

    def text(self, name: str) -> str:
        """Return a member that is a string; empty for any other."""
        return self.part(name).string()

    def number(self, name: str) -> int | None:
        """Return a member that is a whole number of at most 15 digits; None for any other."""
        value = self._member(name)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        return value if abs(value) < _MAX_NUMBER else None

    def is_true(self, name: str) -> bool:
        """Return True if a member is true or 1."""
        return self._member(name) in (True, 1)

    def parts(self, name: str) -> "list[Part]":
        """Return the items of a member that is a list; none for any other."""
        value = self._member(name)
        return [Part(item, self.mask) for item in value] if isinstance(value, list) else []

    def texts(self, name: str) -> list[str]:
        """Return the strings in a member that is a list."""
        return list(filter(None, (part.string() for part in self.parts(name))))

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield the names and the texts of the members; other values are JSON."""
        if isinstance(self.value, dict):
            for name, value in self.value.items():
                yield self.mask(name), self.mask(to_text(value))
