"""Response headers that protect the pages, and the session cookie."""

from urllib.parse import urlsplit

from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

from config import Config
from web.accounts.users import MAX_SESSION_AGE
from web.services import services

HALF_A_YEAR = 182 * 86_400
STRICT_TRANSPORT = f"max-age={HALF_A_YEAR}"

_POLICY = (
    "default-src 'none'; script-src 'self' {htmx_url}; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def register(app: Flask, config: Config) -> None:
    """Configure the session cookie, and add the headers to every response."""
    app.config.update(
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=MAX_SESSION_AGE // 1000,
        # A slow response must not overwrite the cookie that a later request has changed.
        SESSION_REFRESH_EACH_REQUEST=False,
    )
    app.session_interface = SessionCookie()
    headers = headers_of_all(config)

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(headers)
        response.vary.add("HX-Request")
        if is_https():
            response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT
        if request.endpoint != "static":
            is_tagged = "ETag" in response.headers
            response.headers["Cache-Control"] = "private, no-cache" if is_tagged else "no-store"
        return response


def headers_of_all(config: Config) -> dict[str, str]:
    """Return the headers that every response has."""
    return {
        "Content-Security-Policy": _POLICY.format(htmx_url=config.htmx_url),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


class SessionCookie(SecureCookieSessionInterface):
    """Flask's signed cookie; over https it is `Secure` and bound to the host (`__Host-`).

    Below a prefix, it is sent with requests below it only.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a request, at once if there is no cookie: most are of machines."""
        if "Cookie" not in request.headers:
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set the cookie if the session was used."""
        if session.accessed or session.modified:
            super().save_session(app, session, response)

    def get_cookie_name(self, app: Flask) -> str:
        """Return the cookie's name, over https with `__Host-` or `__Secure-` (RFC 6265bis)."""
        name = super().get_cookie_name(app)
        if not is_https():
            return name
        return f"__Secure-{name}" if request.script_root else f"__Host-{name}"

    def get_cookie_path(self, app: Flask) -> str:
        """Return the path below which the browser sends the cookie."""
        return request.script_root or "/"

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return True over https."""
        return is_https()


def is_https() -> bool:
    """Return True if the browser uses https: to Tocsin, a trusted proxy, or the public URL."""
    if request.is_secure:
        return True
    public = urlsplit(services().config.public_url)
    return public.scheme == "https" and request.host == public.netloc
