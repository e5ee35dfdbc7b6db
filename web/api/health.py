"""For machines that ask whether Tocsin lives: `/healthz` says that it answers, `/readyz` that its database does too.

`/-/healthy` and `/-/ready` say the same to who takes Tocsin for an Alertmanager.
"""

from flask import Blueprint, Response

from models import Channel

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz():
    """The process answers."""
    return {"status": "ok"}


@bp.get("/readyz")
def readyz():
    """The database answers; a failure is the 503 of `web.errors`."""
    Channel.select(Channel.id).limit(1).execute()
    return {"status": "ok"}


@bp.get("/-/healthy")
def healthy():
    """The process answers."""
    return Response("Tocsin is Healthy.\n", content_type="text/plain; charset=utf-8")


@bp.get("/-/ready")
def ready():
    """The database answers, as in `readyz`."""
    readyz()
    return Response("Tocsin is Ready.\n", content_type="text/plain; charset=utf-8")
