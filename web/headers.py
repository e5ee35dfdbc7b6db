"""Response headers that protect the pages, and cookies that protect the session."""

from flask import Flask, Response, request

from config import Config


def register(app: Flask, config: Config) -> None:
    """Sets the cookie's name and manners, the hosts that may be asked for, and the headers of every answer."""
    app.config.update(
        # Cookies know no port: two Tocsins on one machine must not overwrite each other's.
        SESSION_COOKIE_NAME=f"tocsin_{config.port}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        # Without a sign-in yet, a foreign page must not reach this one under a name of its own (DNS rebinding).
        TRUSTED_HOSTS=_hosts(config),
    )
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
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"
        return response


def _hosts(config: Config) -> list[str]:
    public = config.public_url.split("://")[-1].split("/")[0]
    return ["localhost", "127.0.0.1", "[::1]", *([public.rsplit(":", 1)[0] if "]" not in public else public] if public else [])]
