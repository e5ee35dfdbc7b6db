"""The rows of the list of deliveries."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from peewee import ModelSelect, fn

from delivery.log.log_filter import LogFilter
from delivery.log.search import find
from models import ID_PER_MS, Alert, Attempt, Channel, Delivery

PAGE_SIZE = 50

# A body may be encrypted, and large.
DELIVERY_COLUMNS = [field for field in Delivery._meta.sorted_fields if field is not Delivery.body]

LISTED_COLUMNS = (Alert.id, Alert.name, Alert.body, Alert.urgency, Channel.id, Channel.name)


class Page(NamedTuple):
    """A page of deliveries, newest first.

    `older` is the number that the next page begins before, or None at the end. `searched_to` is the
    time that an incomplete search has come to, in milliseconds.
    """

    deliveries: list[Delivery]
    older: int | None
    searched_to: int | None = None


def page_of(log_filter: LogFilter, before: int, size: int) -> Page:
    """Return the newest deliveries that a filter accepts, with ids below `before` (0: all)."""
    found = find(log_filter, before, size)
    searched_to = None
    if found.older is not None and not found.is_complete:
        searched_to = found.older // ID_PER_MS
    return Page(rows_of(found.ids), found.older, searched_to)


def rows_of(ids: Sequence[int]) -> list[Delivery]:
    """Return the rows of deliveries with their alerts and channels, newest first."""
    page = select_deliveries(*LISTED_COLUMNS)
    return list(page.where(Delivery.id << list(ids)).order_by(Delivery.id.desc()))


def select_deliveries(*columns: Any) -> "ModelSelect[Delivery]":
    """Return a query of deliveries with these columns and the last attempt's message."""
    newest = Attempt.select(fn.MAX(Attempt.id))
    alone = newest.where(Attempt.delivery == Delivery.id)
    in_group = newest.where(Attempt.message == Delivery.message, Attempt.message.is_null(False))
    last = Attempt.alias()
    last_id = fn.MAX(fn.COALESCE(alone, 0), fn.COALESCE(in_group, 0))
    last_message = last.select(last.says).where(last.id == last_id).alias("last_message")
    rows = Delivery.select(*DELIVERY_COLUMNS, last_message, *columns)
    return rows.join_from(Delivery, Alert).join_from(Delivery, Channel)
