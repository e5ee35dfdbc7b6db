"""Tocsin as `make run` starts it, on a free port and in a folder of its own, and a lean browser for its pages."""

import contextlib
import os
import sys
import tempfile
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

from channels import fields_in
from conftest import PASSWORD, Live, free_port
from markup import token_in

__all__ = [
    "FORM",
    "PASSWORD",
    "Browser",
    "alive",
    "free_port",
    "megabytes",
    "processes_of",
    "running",
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
    "payload": '{"team": "database", "runbook": "https://wiki.example.com/runbooks/db", "escalate": ["lead", "on call"]}',
    "timeout": "5",
}


@contextlib.contextmanager
def running(**environment):
    """A Tocsin with a fresh data folder; whatever happens, it is stopped and its folder removed. A failure shows its log."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        live = Live(Path(folder), **environment)
        try:
            live.ready()
            yield live
        except BaseException:
            print(f"Tocsin's log:\n{live.output()}", file=sys.stderr)
            raise
        finally:
            live.stop()


def processes_of(parent: int) -> list[int]:
    """The process and all that descend from it, the master first."""
    found = [parent]
    for pid in found:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


def megabytes(pid: int) -> float:
    """The resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def alive(pid: int) -> bool:
    """Whether the process still runs; one that has ended and was not waited for does not."""
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class Browser:
    """One person's kept connection, with the cookie. Nothing is parsed, so that what it measures is Tocsin's time."""

    def __init__(self, port: int, cookie: str = "", token: str = ""):
        self.port, self.cookie, self.token = port, cookie, token
        self._connection = HTTPConnection("127.0.0.1", port, timeout=40)
        if not cookie:
            self.sign_in()

    def sign_in(self, page: str = "") -> None:
        """As the admin of a `Live`; `page` is the sign-in page where it was fetched before."""
        token = token_in(page or self.get("/login"))
        form = {"username": "admin", "password": PASSWORD, "csrf_token": token}
        self.answer("/login", urlencode(form).encode(), 303)

    def another(self) -> "Browser":
        """The same person on a connection of its own."""
        return Browser(self.port, self.cookie, self.token)

    def close(self) -> None:
        """Leaves."""
        self._connection.close()

    def get(self, path: str, expect: int = 200) -> str:
        """The page."""
        return self._asked("GET", path, expect)[1]

    def post(self, path: str, form: dict | None = None, expect: int = 200) -> str:
        """The fragment that htmx gets, or where a save leads to."""
        return self.answer(path, self.encoded(form or {}), expect)[1]

    def answer(self, path: str, body: bytes, *expect: int) -> tuple[int, str]:
        """Status and text of an encoded form's answer."""
        return self._asked("POST", path, *expect, body=body)

    def encoded(self, form: dict) -> bytes:
        """The form as it goes over the wire, with the CSRF token."""
        self.token = self.token or token_in(self.get("/account"))
        return urlencode({**form, "csrf_token": self.token}).encode()

    def create_channel(self, url: str, **fields: str) -> int:
        """A channel with settings as a person would have them; its id."""
        where = self.post("/channels", {**FORM, "url": url, **fields}, 303)
        return int(where.split("/")[-2])

    def form_of(self, channel_id: int) -> dict:
        """What a browser would post from the channel's edit page."""
        return fields_in(self.get(f"/channels/{channel_id}/edit"))

    def _asked(
        self, method: str, path: str, *expect: int, body: bytes | None = None
    ) -> tuple[int, str]:
        headers = {
            "Cookie": self.cookie,
            "HX-Request": "true",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._connection.request(
            method, path, body, headers if method == "POST" else {"Cookie": self.cookie}
        )
        response = self._connection.getresponse()
        text = response.read().decode()
        self.cookie = (response.getheader("Set-Cookie") or self.cookie).partition(";")[0]
        if response.status not in expect:
            raise AssertionError(f"{method} {path} answered {response.status}: {text[:400]}")
        return response.status, response.getheader("Location") or text
