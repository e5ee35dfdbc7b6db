"""For machines that ask whether Tocsin lives: `/healthz` says that it answers, `/readyz` that its database does too."""

from flask import Blueprint

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
