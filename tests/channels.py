"""Post the channel form and read it from pages, as a browser does."""

import re

from markupsafe import Markup


def form_of(url="https://hooks.example.com/services/t0ken", **fields) -> dict:
    """Return the fields of a valid form; `headers_0_name` stands for `headers-0-name`."""
    rows = {
        re.sub(r"^headers_(\d+)_", r"headers-\1-", name): value for name, value in fields.items()
    }
    return {"name": "Team db", "kind": "webhook", "url": url, "timeout": "5", **rows}


def create(client, url="https://hooks.example.com/services/t0ken", **fields) -> int:
    """Create a channel through the form; return its id."""
    response = client.post("/channels", form_of(url, **fields))
    assert response.status_code == 303, response.text
    return int(re.fullmatch(r"/channels/(\d+)/edit", response.headers["Location"])[1])


def stored_form(client, channel_id: int) -> dict:
    """Return the form that a browser would post from an unchanged edit page."""
    return fields_in(client.get(f"/channels/{channel_id}/edit").text)


def fields_in(html: str) -> dict:
    """Return the values of a page's channel form, without unchecked boxes."""
    form = re.search(r'<form id="channel-form".*?</form>', html, re.DOTALL)[0]
    values = {}
    for tag in re.findall(r"<input[^>]*>", form):
        attributes = {
            name: str(Markup(value).unescape())
            for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)
        }
        if attributes.get("type") == "checkbox" and not re.search(r"\bchecked\b", tag):
            continue
        if "name" in attributes:
            values[attributes["name"]] = attributes.get("value", "")
    for name, inner in re.findall(
        r'<select id="[^"]*" name="([^"]*)".*?>(.*?)</select>', form, re.DOTALL
    ):
        values[name] = re.search(r'<option value="([^"]*)"[^>]*selected', inner)[1]
    for name, text in re.findall(
        r'<textarea id="[^"]*" name="([^"]*)".*?>\n(.*?)</textarea>', form, re.DOTALL
    ):
        values[name] = str(Markup(text).unescape())
    return values


def marks(html: str) -> dict:
    """Return the marks of a test result: verdict, reason, actor and status."""
    tag = re.search(r'<section id="test-result"[^>]*>', html)[0]
    return dict(re.findall(r'data-(\w+)="([^"]*)"', tag))


def row_marks(html: str, channel_id: int) -> dict:
    """Return the marks of a channel in the list: state, proof and health."""
    tag = re.search(rf'<li id="channel-{channel_id}"[^>]*>', html)[0]
    return dict(re.findall(r'data-(\w+)="([^"]*)"', tag))


def message_at(html: str, field: str) -> str:
    """Return the error message of a field."""
    message = re.search(rf'id="{re.escape(field)}-error"[^>]*>(.*?)</p>', html, re.DOTALL)[1]
    return str(Markup(message).unescape())
