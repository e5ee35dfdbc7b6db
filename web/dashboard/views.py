"""The dashboard, which is the first page after signing in."""

from flask import Blueprint, make_response, render_template, request
from werkzeug.wrappers import Response

from clock import now_ms
from delivery.log import search
from web.dashboard import queries
from web.deliveries.queries import explain

bp = Blueprint("dashboard", __name__)


@bp.get("/")
def index():
    """Show whether notifications arrive: channels, alerts, what waits and what failed."""
    return _render("dashboard/index.html")


@bp.get("/pulse")
def pulse() -> Response:
    """Answer a poll of the dashboard with 204 while that shows the latest state.

    Otherwise with the dashboard, which polls on if something still waits. A poll without a change
    takes one query, beside that of the sign-in.
    """
    if request.args.get("seen") == str(queries.read_pulse()):
        return make_response("", 204)
    return make_response(_render("dashboard/_overview.html"))


def _render(template: str) -> str:
    now = now_ms()
    pulse = queries.read_pulse()  # first: what changes from now on is a change
    failures, problems = queries.recent_problems(now)
    return render_template(
        template,
        pulse=pulse,
        channels=queries.read_channels(now),
        day=queries.read_day(now),
        waiting=queries.read_waiting(now),
        open_alerts=queries.open_alerts(),
        failures=failures,
        problems=problems,
        steps=queries.first_steps(),
        max_count=search.MAX_COUNT,
        explain=explain,
    )
