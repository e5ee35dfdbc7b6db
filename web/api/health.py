"""Health checks: `/healthz` for the process, `/readyz` for its database.

`/-/healthy` and `/-/ready` are the same under Alertmanager's addresses.
"""

from flask import Blueprint

from models import Channel

bp = Blueprint("health", __name__)

PLAIN_TEXT = {"Content-Type": "text/plain; charset=utf-8"}


@bp.get("/healthz")
def healthz():
    """Return 200 while the process answers."""
    return {"status": "ok"}


@bp.get("/readyz")
def readyz():
    """Return 200 while the database answers; `web.errors` turns a failure into a 503."""
    Channel.select(Channel.id).limit(1).execute()
    return {"status": "ok"}


@bp.get("/-/healthy")
def healthy():
    """Return 200 while the process answers."""
    return "Tocsin is Healthy.\n", PLAIN_TEXT


@bp.get("/-/ready")
def ready():
    """Return 200 while the database answers."""
    readyz()
    return "Tocsin is Ready.\n", PLAIN_TEXT
