"""Health checks: `/healthz` for the process, `/readyz` for its database and the worker.

`/-/healthy` and `/-/ready` are the same under Alertmanager's addresses.
"""

from flask import Blueprint

from clock import SECOND, now_ms
from delivery import outbox
from web.api.ingest_types import Liveness, Readiness
from web.api.operation import describe
from web.worker_status import worker_status

bp = Blueprint("health", __name__)

PLAIN_TEXT = {"Content-Type": "text/plain; charset=utf-8"}


@bp.get("/healthz")
@describe({200: Liveness})
def healthz():
    """Return 200 while the process answers."""
    return {"status": "ok"}


@bp.get("/readyz")
@describe({200: Readiness, 503: Readiness})
def readyz():
    """Return 200 while the database answers and a worker drains the outbox, otherwise 503.

    `web.errors` turns a failure of the database into a 503.
    """
    status = worker_status()
    answer = {
        "status": status.problem or "ok",
        "worker_silent_seconds": status.silent,
        "oldest_due_seconds": outbox.oldest_due_age(now_ms()) / SECOND,
    }
    return answer, 503 if status.problem else 200


@bp.get("/-/healthy")
@describe({200: str}, media_type="text/plain")
def healthy():
    """Return 200 while the process answers."""
    return "Tocsin is Healthy.\n", PLAIN_TEXT


@bp.get("/-/ready")
@describe({200: str, 503: str}, media_type="text/plain")
def ready():
    """Return 200 while the database answers and a worker drains the outbox."""
    answer, code = readyz()
    if code != 200:
        return f"{answer['status']}\n", code, PLAIN_TEXT
    return "Tocsin is Ready.\n", PLAIN_TEXT
