"""Health checks: `/healthz` for the process, `/readyz` for its database.

`/-/healthy` and `/-/ready` are the same under Alertmanager's addresses.
"""

from flask import Blueprint, Response

from models import Channel

bp = Blueprint("health", __name__)


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
    return Response("Tocsin is Healthy.\n", content_type="text/plain; charset=utf-8")


@bp.get("/-/ready")
def ready():
    """Return 200 while the database answers."""
    readyz()
    return Response("Tocsin is Ready.\n", content_type="text/plain; charset=utf-8")
