"""Response headers that protect the pages, and cookies that protect the session."""

from urllib.parse import urlsplit

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface

from config import Config
from web.accounts.users import LONGEST
from web.services import services

HALF_A_YEAR = 182 * 86_400


def register(app: Flask, config: Config) -> None:
    """Sets the cookie's name and manners, and the headers of every answer."""
    app.config.update(
        # Cookies know no port: two Tocsins on one machine must not overwrite each other's.
        SESSION_COOKIE_NAME=f"tocsin_{config.port}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=LONGEST // 1000,
        # Else every answer would set the cookie anew, and a slow one would put back what a quicker one had changed.
        SESSION_REFRESH_EACH_REQUEST=False,
    )
    app.session_interface = Cookies()
    protection = {
        "Content-Security-Policy": f"default-src 'none'; script-src 'self' {config.htmx_url}; style-src 'self'; "
        "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(protection)
        response.vary.add("HX-Request")
        if by_https():
            response.headers["Strict-Transport-Security"] = f"max-age={HALF_A_YEAR}"
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"
        return response


class Cookies(SecureCookieSessionInterface):
    """Flask's signed cookie; by https it is never sent in the clear, and no other host can set it (RFC 6265bis, `__Host-`)."""

    def get_cookie_name(self, app: Flask) -> str:
        name = super().get_cookie_name(app)
        return f"__Host-{name}" if by_https() else name

    def get_cookie_secure(self, app: Flask) -> bool:
        return by_https()


def by_https() -> bool:
    """Whether the person's browser speaks https: to us, to a proxy that we trust, or under our public name."""
    config = services().config
    return request.is_secure or (
        config.public_https and request.host == urlsplit(config.public_url).netloc
    )
