"""Requests of Schemathesis to every operation of the OpenAPI document, and what is wrong.

`fuzz_api.py 500` makes 500 valid and 500 invalid requests to each operation that takes something.
The app is called in this process, names are not resolved, and connections are refused.
"""

import socket
import sys
import tempfile
import time

from parts.figures import figure

from app import create_app
from clock import now_ms
from config import Config
from models import User, db
from web.accounts.api_tokens import SCOPES, create_token

EXAMPLES = 100
URL = "https://hooks.example.com/services/t0ken"


def refuse(*_arguments, **_options):
    """Contact nothing."""
    raise socket.gaierror(socket.EAI_NONAME, "nothing is contacted here")


def main() -> int:
    from fuzzing import fuzz  # of the tests, which only the import of `parts` makes importable

    examples = int(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES
    socket.getaddrinfo = refuse
    socket.socket.connect = refuse
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Config.from_env({"TOCSIN_DATA_DIR": folder}))
        with app.app_context():
            User.create(name="ada", role="editor", created_at=now_ms())
            _, secret = create_token("fuzz", list(SCOPES), None, "ada", now_ms())
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {secret}"}
        report = fuzz(app, headers, URL, examples)
        db.close()
    figure("operations", len(report.cases), "", places=0)
    figure("requests", sum(report.cases.values()), "", places=0)
    figure("duration", time.monotonic() - began, "s", places=0)
    figure("answers with 5xx", report.failures, "", 0, places=0)
    figure("operations with an answer outside the document", len(report.problems), "", 0, places=0)
    for problem in report.problems.values():
        print(problem)
    return 1 if report.problems or report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
