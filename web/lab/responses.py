"""The responses that a receiver of the lab can send, alone or in turn."""

import json
import re
from http import HTTPStatus
from typing import NamedTuple

from delivery.kinds import kinds
from delivery.response import Response
from models import LabReceiver
from serving.held_connections import Ending

SLOW_SECONDS = 5.0
NEVER_SECONDS = 35.0  # a channel waits for at most 30
RETRY_AFTER = 15
MAX_RESPONSES = 10  # in turn
DEFAULT = "200"

# A failure for every kind that judges by the body: each confirms a message with other members.
ERROR_BODY = json.dumps(
    {
        "ok": False,
        "error_code": 400,
        "description": "The lab refuses the message.",
        "error": "lab_error",
        "errcode": 1,
        "errmsg": "The lab refuses the message.",
        "code": 1,
        "msg": "The lab refuses the message.",
    }
)


class LabResponse(NamedTuple):
    """A response of the lab: what pages call it, and its parts.

    `status` is 0 if none is sent. `ending` says how its connection ends, if not at once.
    """

    label: str
    status: int = 200
    body: str = "The lab has received the request.\n"
    headers: tuple[tuple[str, str], ...] = ()
    ending: Ending | None = None

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        if self.body.startswith("{"):
            return "application/json"
        return "text/plain; charset=utf-8"

    def as_http(self) -> bytes:
        """Return the response as it is sent over the connection, which ends with it."""
        body = self.body.encode()
        head = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        return "\r\n".join([*head, "", ""]).encode() + body


_SLOW = LabResponse("200 after 5 seconds")
RESPONSES = {
    "200": LabResponse("200 at once"),
    "500": LabResponse("500 at once", 500, "The lab is set to respond with 500.\n"),
    "429": LabResponse(
        f"429 with Retry-After: {RETRY_AFTER}",
        429,
        "The lab is set to respond with 429.\n",
        (("Retry-After", str(RETRY_AFTER)),),
    ),
    "error": LabResponse("200 with an error in the body", body=ERROR_BODY),
    "slow": _SLOW._replace(ending=Ending(SLOW_SECONDS, _SLOW.as_http())),
    "never": LabResponse(
        "never: the connection stays open without a response",
        0,
        ending=Ending(NEVER_SECONDS),
    ),
    "reset": LabResponse(
        "reset: the connection is reset without a response", 0, ending=Ending(is_reset=True)
    ),
    "redirect": LabResponse(
        "302 to another address",
        302,
        "The lab is set to redirect.\n",
        (("Location", "https://moved.example/hook"),),
    ),
}


class UnknownResponse(ValueError):
    """A text does not name responses; the message is a sentence for the form."""


def parse_responses(text: str) -> list[str]:
    """Return the names of a sequence such as `500, 429, 200`.

    Raises:
        UnknownResponse: A name is unknown, or there are none or too many.
    """
    names = list(filter(None, re.split(r"[\s,]+", text.lower())))
    if not names:
        raise UnknownResponse("Enter the responses in turn, such as 500, 429, 200.")
    if len(names) > MAX_RESPONSES:
        raise UnknownResponse(
            f"These are {len(names)} responses; at most {MAX_RESPONSES} are possible."
        )
    for name in names:
        if name not in RESPONSES:
            known = ", ".join(RESPONSES)
            raise UnknownResponse(f"“{name[:20]}” is not a response. Use {known}.")
    return names


def stored_responses(text: str) -> list[str]:
    """Return the names in a row; 200 if the row is damaged."""
    try:
        return parse_responses(text)
    except UnknownResponse:
        return [DEFAULT]


class Turn(NamedTuple):
    """The responses of a receiver, and which of them is next."""

    names: list[str]
    restarts: bool
    next_index: int

    @classmethod
    def of(cls, receiver: LabReceiver) -> "Turn":
        """Return the responses of a row; a damaged one responds with 200."""
        names = stored_responses(receiver.responses)
        restarts = bool(receiver.restarts)
        if restarts:
            return cls(names, restarts, receiver.served % len(names))
        return cls(names, restarts, min(max(0, receiver.served), len(names) - 1))

    @property
    def next_name(self) -> str:
        """The name of the next response."""
        return self.names[self.next_index]

    @property
    def described(self) -> str:
        """The responses in words."""
        if len(self.names) == 1:
            return RESPONSES[self.names[0]].label
        turns = ", then ".join(self.names)
        if self.restarts:
            return f"{turns}, and starts over"
        return f"{turns}, and repeats the last"


def kinds_that_fail() -> list[str]:
    """Return the labels of the kinds that judge a 200 with an error in its body as a failure."""
    response = RESPONSES["error"]
    headers = (("Content-Type", response.content_type),)
    exchange = Response(response.status, headers, response.body.encode())
    labels = []
    for kind in kinds().values():
        if kind.judge(exchange).reason == "body_says_error":
            labels.append(kind.label)
    return labels
