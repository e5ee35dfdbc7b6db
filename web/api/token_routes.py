"""Routes of senders and of clients of Alertmanager, which support few ways to send a token."""

from collections.abc import Callable

from flask import Blueprint

from web.auth.access import require_scope


def route_with_token(bp: Blueprint, path: str, *methods: str, scopes: tuple[str, ...]) -> Callable:
    """Register a view for a path and for `/t/<token>` with this path."""

    def register(view: Callable) -> Callable:
        require_scope(*scopes, anywhere=True)(view)
        bp.add_url_rule(path, view_func=view, methods=methods)
        bp.add_url_rule(f"/t/<token>{path}", view_func=view, methods=methods)
        return view

    return register
