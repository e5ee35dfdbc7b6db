"""Received requests as pages show them, and how often a page asks for new ones."""

import contextlib
import json
import re
from typing import Any, NamedTuple

from peewee import JOIN
from werkzeug.datastructures import Headers

from clock import MINUTE
from models import MAX_ID, Delivery, GroupMessage, LabReceiver, LabRequest
from web.lab.json_layout import lay_out
from web.lab.receiving import MAX_REQUESTS
from web.lab.responses import RESPONSES

MAX_SHOWN = 16 * 1024  # characters of a body
# A page asks every 2 seconds; less often when nothing has come for 2 minutes, and then no more.
PACES = ((2 * MINUTE, 2), (30 * MINUTE, 15))
STOPPED = 0


class ShownRequest(NamedTuple):
    """A received request. `laid_out` is its JSON; `has_page` if a delivery sent it."""

    row: LabRequest
    headers: Headers
    body: str
    laid_out: str
    is_cut: bool
    answer: str
    has_page: bool = False

    @property
    def message_id(self) -> str:
        """The `webhook-id`; empty without one."""
        return self.headers.get("webhook-id", "")

    @property
    def is_good(self) -> bool:
        """True if a receiver that judges by the status, or by the body, has the message."""
        return 200 <= self.row.answered <= 299 and self.row.response != "error"

    @property
    def attempt(self) -> str:
        """The number of the attempt; empty without one."""
        return self.headers.get("x-delivery-attempt", "")

    @property
    def message_number(self) -> int:
        """The number in a `webhook-id` of Tocsin; 0 if it has another form."""
        match = re.fullmatch("msg_([0-9]{1,19})", self.message_id, re.ASCII)
        if match is None or int(match[1]) > MAX_ID:
            return 0
        return int(match[1])


class Inbox(NamedTuple):
    """A receiver, and its latest requests, the newest first."""

    receiver: LabReceiver
    requests: list[ShownRequest]


def read_inbox(receiver_id: int, after: int = 0) -> Inbox | None:
    """Return a receiver and its requests with a higher id than `after`; None if it is missing.

    It is one query as long as there are no requests.
    """
    own = (LabRequest.receiver == LabReceiver.id) & (LabRequest.id > after)
    query: Any = LabReceiver.select(LabReceiver, LabRequest)
    query = query.join(LabRequest, JOIN.LEFT_OUTER, on=own, attr="request")
    query = query.where(LabReceiver.id == receiver_id).order_by(LabRequest.id.desc())
    rows = list(query.limit(MAX_REQUESTS))
    if not rows:
        return None
    found = filter(None, (getattr(row, "request", None) for row in rows))
    return Inbox(rows[0], _with_pages([_show(row) for row in found if row.id]))


def _with_pages(requests: list[ShownRequest]) -> list[ShownRequest]:
    """Return the requests, with the mark of those that a delivery sent."""
    numbers = {one.message_number for one in requests} - {0}
    if not numbers:
        return requests
    sent = _sent_messages(numbers)
    return [one._replace(has_page=one.message_number in sent) for one in requests]


def _sent_messages(numbers: set[int]) -> set[int]:
    """Return which of these numbers are of deliveries or of group messages; tests have others."""
    sent: set[int] = set()
    for table in (Delivery, GroupMessage):
        columns: Any = table.select(table.id)
        sent |= {number for (number,) in columns.where(table.id.in_(numbers)).tuples()}
    return sent


def _show(row: LabRequest) -> ShownRequest:
    is_cut = len(row.body) > MAX_SHOWN
    body = row.body[:MAX_SHOWN]
    laid_out = ""
    if not is_cut:
        laid_out = lay_out(body)
    return ShownRequest(row, parse_headers(row.headers), body, laid_out, is_cut, _answer_of(row))


def _answer_of(row: LabRequest) -> str:
    """Return how a request was answered, in a word or two."""
    response = RESPONSES.get(row.response)
    if response is None or row.answered != response.status:
        return f"responded {row.answered}"
    return {
        "slow": "responded 200 slowly",
        "never": "not answered",
        "reset": "connection reset",
        "error": "responded 200 with an error",
    }.get(row.response, f"responded {row.answered}")


def parse_headers(text: str) -> Headers:
    """Return the headers that a row stores as JSON; none if the row is damaged."""
    with contextlib.suppress(ValueError, TypeError):
        return Headers(json.loads(text))
    return Headers()


def pace_after(quiet: int) -> int:
    """Return the seconds until the next poll after this many quiet milliseconds, or `STOPPED`."""
    for until, seconds in PACES:
        if -MINUTE < quiet < until:  # the clock of another machine may be ahead
            return seconds
    return STOPPED
