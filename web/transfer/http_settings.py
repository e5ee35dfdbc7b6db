"""`http_config` of Alertmanager: authentication, headers and TLS of a receiver."""

from typing import Any

from web.transfer.foreign import Fields, Translation

_HARMLESS = ("follow_redirects", "enable_http2")  # Tocsin never follows redirects


def http_members(
    fields: Fields, defaults: Fields, translation: Translation, where: str
) -> dict[str, Any]:
    """Return the members of a channel for the `http_config` of a receiver, or of all of them."""
    http = fields.object("http_config")
    if not fields.get("http_config"):
        http = defaults.object("http_config")
    tls = http.object("tls_config")
    members: dict[str, Any] = {
        **_authentication(http),
        "headers": _headers(http),
        "ca_pem": tls.text("ca"),
    }
    if tls.is_on("insecure_skip_verify"):
        members["verify_tls"] = False
    if tls.get("ca_file"):
        translation.note(tls.line, f"{where}: put the certificates of ca_file into the channel.")
    left = [name for name in (*http.unread(), *tls.unread()) if name not in _HARMLESS]
    if left:
        translation.note(http.line, f"{where}: not carried over: {', '.join(left)}.")
    return members


def _authentication(http: Fields) -> dict[str, str]:
    basic = http.object("basic_auth")
    if http.get("basic_auth"):
        username = basic.text("username")
        return {"auth": "basic", "auth_username": username, "auth_secret": basic.secret("password")}
    authorization = http.object("authorization")
    credentials = authorization.secret("credentials") or http.secret("bearer_token")
    if not credentials:
        return {}
    scheme = authorization.text("type") or "Bearer"
    if scheme.lower() == "bearer":
        return {"auth": "bearer", "auth_secret": credentials}
    if credentials.startswith(("env:", "file:")):
        return {"auth": "header", "auth_username": "Authorization", "auth_secret": credentials}
    value = f"{scheme} {credentials}"
    return {"auth": "header", "auth_username": "Authorization", "auth_secret": value}


def _headers(http: Fields) -> list[dict[str, Any]]:
    rows = []
    for name, source in (http.get("http_headers") or {}).items():
        values = Fields(source)
        for value in values.get("values") or []:
            rows.append({"name": name, "value": str(value)})
        for value in values.get("secrets") or []:
            rows.append({"name": name, "value": str(value), "secret": True})
        for path in values.get("files") or []:
            rows.append({"name": name, "value": f"file:{path}", "secret": True})
    return rows
