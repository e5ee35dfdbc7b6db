"""Post alerts, and read what a receiver gets of them."""

import json
import time
from http.client import HTTPConnection

from receiver import Received


def post(connection: HTTPConnection, headers: dict, alert: dict) -> None:
    """Post an alert on a kept connection.

    Raises:
        AssertionError: The alert is not accepted.
    """
    connection.request("POST", "/api/v1/alerts", json.dumps(alert), headers)
    response = connection.getresponse()
    text = response.read()
    assert response.status == 202, f"POST /api/v1/alerts returned {response.status}: {text[:400]!r}"


def alerts_in(request: Received) -> list[dict]:
    """Return the alerts of a message of the kind `webhook`: those of its group, or its only one."""
    body = json.loads(request.body)
    return body.get("alerts") or [body["alert"]]


class TimedRequests(list[Received]):
    """The requests of a receiver, with the time at which each was complete in `times`."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def append(self, request: Received) -> None:
        """Add a request that arrived now."""
        self.times.append(time.monotonic())
        super().append(request)
