"""A channel's form as a browser would post it, with keyword overrides."""

import re

from markupsafe import Markup


def form_of(url="https://hooks.example.com/services/t0ken", **fields) -> dict:
    """The fields of a valid form; names with a dash are given as `headers_0_name`."""
    rows = {
        re.sub(r"^headers_(\d+)_", r"headers-\1-", name): value for name, value in fields.items()
    }
    return {"name": "Team db", "kind": "webhook", "url": url, "timeout": "5", **rows}


def create(client, url="https://hooks.example.com/services/t0ken", **fields) -> int:
    """Makes a channel through the pages; its id."""
    response = client.post("/channels", form_of(url, **fields))
    assert response.status_code == 303, response.text
    return int(re.fullmatch(r"/channels/(\d+)/edit", response.headers["Location"])[1])


def stored_form(client, channel_id: int) -> dict:
    """What a browser would post back from the edit page without any change."""
    return fields_in(client.get(f"/channels/{channel_id}/edit").text)


def fields_in(html: str) -> dict:
    """The values of the channel form of a page; an unticked box is left out as a browser leaves it out."""
    form = re.search(r'<form id="channel-form".*?</form>', html, re.DOTALL)[0]
    found = {}
    for tag in re.findall(r"<input[^>]*>", form):
        given = {
            name: str(Markup(value).unescape())
            for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)
        }
        if given.get("type") == "checkbox" and not re.search(r"\bchecked\b", tag):
            continue
        if "name" in given:
            found[given["name"]] = given.get("value", "")
    for name, inner in re.findall(
        r'<select id="[^"]*" name="([^"]*)".*?>(.*?)</select>', form, re.DOTALL
    ):
        found[name] = re.search(r'<option value="([^"]*)"[^>]*selected', inner)[1]
    for name, text in re.findall(
        r'<textarea id="[^"]*" name="([^"]*)".*?>\n(.*?)</textarea>', form, re.DOTALL
    ):
        found[name] = str(Markup(text).unescape())
    return found


def marks(html: str) -> dict:
    """The marks of a test result: verdict, reason, actor, status."""
    tag = re.search(r'<section id="test-result"[^>]*>', html)[0]
    return dict(re.findall(r'data-(\w+)="([^"]*)"', tag))


def row_marks(html: str, channel_id: int) -> dict:
    """The marks of a channel's row in the list: state, proof."""
    tag = re.search(rf'<li id="channel-{channel_id}"[^>]*>', html)[0]
    return dict(re.findall(r'data-(\w+)="([^"]*)"', tag))


def message_at(html: str, field: str) -> str:
    """The message of a field in a page."""
    found = re.search(rf'id="{re.escape(field)}-error"[^>]*>(.*?)</p>', html, re.DOTALL)[1]
    return str(Markup(found).unescape())
