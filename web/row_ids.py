"""The ids of rows in paths."""

from werkzeug.routing import IntegerConverter

from models import MAX_ID


class RowId(IntegerConverter):
    """The converter `int` of every route.

    An id beyond SQLite's range becomes the largest one, which no row has: the view answers as for
    any other unknown id.
    """

    def to_python(self, value: str) -> int:
        """Return the id, at most MAX_ID."""
        if len(value) > len(str(MAX_ID)):
            return MAX_ID
        return min(int(value), MAX_ID)
