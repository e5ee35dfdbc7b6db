"""Answer with a list, or with the part of it that a search adds."""

from typing import Any

from flask import render_template, request

from web.deliveries.log_filter import FilterQuery


def render_list(folder: str, query: FilterQuery, **context: Any) -> tuple[str, int]:
    """Return the page of a list and its status; for htmx that searches on, only the next rows."""
    is_part = "found" in request.args and "HX-Request" in request.headers
    template = f"{folder}/index.html"
    if is_part:
        template = f"{folder}/_part.html"
    status = 200
    if query.errors:
        status = 422
    return render_template(template, filter=query, is_part=is_part, **context), status
