"""Redirects after a form was posted."""

from flask import flash, redirect, url_for
from werkzeug.wrappers import Response


def redirect_with(message: str, endpoint: str, category: str = "message", **values) -> Response:
    """Redirect to a page (303), which shows the message."""
    flash(message, category)
    return redirect(url_for(endpoint, **values), 303)
