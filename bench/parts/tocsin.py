"""Start Tocsin as `make run` does, on a free port and with its own data folder."""

import contextlib
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

from attempts import answered, claim_deliveries, result_of
from channels import fields_in
from conftest import PASSWORD, Live, free_port
from markup import token_in
from processes import family

from config import default_senders

__all__ = [
    "FORM",
    "PASSWORD",
    "Browser",
    "Live",
    "Web",
    "alive",
    "answered",
    "claim_deliveries",
    "family",
    "fields_in",
    "free_port",
    "megabytes",
    "result_of",
    "rows",
    "running",
    "token_in",
]

FORM = {
    "name": "Database team, on call",
    "kind": "webhook",
    "method": "POST",
    "auth": "bearer",
    "auth_secret": "glsa_8Jw2bYx0QmT5vNfKcR3pLzHs7EuDgA1o",
    "signing": "standard",
    "signing_secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "headers-0-name": "X-Team",
    "headers-0-value": "database",
    "headers-1-name": "X-Environment",
    "headers-1-value": "production",
    "headers-2-name": "X-Route-Key",
    "headers-2-value": "r0ute-4f9c2d7e81ab",
    "headers-2-secret": "1",
    "payload": (
        '{"team": "database", "runbook": "https://wiki.example.com/runbooks/db", '
        '"escalate": ["lead", "on call"]}'
    ),
    "timeout": "5",
}


class Web(Live):
    """Pages and ingest, without a worker."""

    command = ("serve", "--no-worker")


@contextlib.contextmanager
def running(kind: type[Live] = Live, **environment: str) -> Iterator[Live]:
    """Yield a running Tocsin with a new data folder; print its log if the block fails.

    Tocsin is stopped and its folder deleted in any case.
    """
    environment.setdefault("TOCSIN_SENDERS", str(default_senders()))
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        live = kind(Path(folder), **environment)
        try:
            live.ready()
            yield live
        except BaseException:
            print(f"Tocsin's log:\n{live.output()}", file=sys.stderr)
            raise
        finally:
            live.stop()


def rows(live: Live, statement: str) -> list[tuple]:
    """Return the rows of a query, read from the database file of a Tocsin."""
    uri = f"file:{live.folder / 'data' / 'tocsin.db'}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
        return database.execute(statement).fetchall()


def megabytes(pid: int) -> float:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def alive(pid: int) -> bool:
    """Return True if a process runs; a zombie does not."""
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class Browser:
    """Kept connection of one signed-in user.

    Responses are not parsed, so that measured times are those of Tocsin.
    """

    def __init__(self, port: int, cookie: str = "", token: str = ""):
        self.port = port
        self.cookie = cookie
        self.token = token
        self._connection = HTTPConnection("127.0.0.1", port, timeout=40)
        if not cookie:
            self.sign_in()

    def sign_in(self, page: str = "") -> None:
        """Sign in as the admin of a `Live`; `page` is the sign-in page if already loaded."""
        token = token_in(page or self.get("/login"))
        form = {"username": "admin", "password": PASSWORD, "csrf_token": token}
        self.submit("/login", urlencode(form).encode(), 303)

    def another(self) -> "Browser":
        """Return the same user on a new connection."""
        return Browser(self.port, self.cookie, self.token)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str, expect: int = 200) -> str:
        """Return a page."""
        return self._request("GET", path, expect)[1]

    def post(self, path: str, form: dict | None = None, expect: int = 200) -> str:
        """Post a form; return the fragment, or the redirect's target."""
        return self.submit(path, self.encoded(form or {}), expect)[1]

    def submit(self, path: str, body: bytes, *expect: int) -> tuple[int, str]:
        """Post an encoded form; return status and text of the response."""
        return self._request("POST", path, *expect, body=body)

    def encoded(self, form: dict) -> bytes:
        """Return a form encoded with its CSRF token."""
        self.token = self.token or token_in(self.get("/account"))
        return urlencode({**form, "csrf_token": self.token}, doseq=True).encode()

    def create_channel(self, url: str, **fields: str) -> int:
        """Create a channel with typical settings; return its id."""
        location = self.post("/channels", {**FORM, "url": url, **fields}, 303)
        return int(location.split("/")[-2])

    def form_of(self, channel_id: int) -> dict:
        """Return the form that a browser would post from a channel's edit page."""
        return fields_in(self.get(f"/channels/{channel_id}/edit"))

    def _request(
        self, method: str, path: str, *expect: int, body: bytes | None = None
    ) -> tuple[int, str]:
        headers = {"Cookie": self.cookie}
        if method == "POST":
            headers["HX-Request"] = "true"
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        text = response.read().decode()
        self.cookie = (response.getheader("Set-Cookie") or self.cookie).partition(";")[0]
        if response.status not in expect:
            raise AssertionError(f"{method} {path} returned {response.status}: {text[:400]}")
        return response.status, response.getheader("Location") or text
