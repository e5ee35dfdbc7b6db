"""Uptrace's notification channels, as its PostgreSQL gives the rows, or its API.

    psql -Atc 'SELECT json_agg(c) FROM notif_channels c' > channels.json

Uptrace decides with each monitor which channels it notifies; here, matchers do.
"""

from typing import Any

from web.transfer.foreign import MAX_NAME, Fields, Translation, secret_text
from web.transfer.reading import FileError, Mapping, read_file

# The kind for each type, and the parameter that has the URL.
_KINDS = {
    "webhook": ("webhook", "url"),
    "alertmanager": ("alertmanager", "url"),
    "slack": ("slack", "webhookUrl"),
    "mattermost": ("mattermost", "webhookUrl"),
    "discord": ("discord", "webhookUrl"),
    "teams": ("teams", "webhookUrl"),
}


def translate(text: str) -> Translation:
    """Return the channels of a JSON list of rows, or of an object with `channels`.

    Raises:
        FileError: the text has no rows of channels.
    """
    document = read_file(text)
    rows = document.get("channels") if isinstance(document, Mapping) else document
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise FileError(1, "this is no list of notification channels in JSON.")
    translation = Translation()
    used: dict[str, int] = {}
    for row in rows:
        _add(row, used, translation)
    if translation.entries:
        text = "Uptrace's monitors choose their channels; here, every channel without matchers "
        translation.note(1, f"{text}gets every alert.")
    return translation


def _add(row: Mapping, used: dict[str, int], translation: Translation) -> None:
    fields = Fields(row)
    name = (fields.text("name").strip() or f"Uptrace {fields.text('id')}")[:MAX_NAME]
    kind = fields.text("type")
    params = row.get("params") or Mapping(row.line)
    members = _members(kind, params)
    if not members.get("url"):
        reason = f"Tocsin has no kind for {kind or 'it'}, or it has no URL"
        if kind == "telegram":
            reason = "Uptrace keeps the bot's token elsewhere; create a channel with it"
        translation.note(row.line, f"“{name}”: not carried over, {reason}.")
        return
    used[name] = used.get(name, 0) + 1
    if used[name] > 1:
        name = f"{name} ({used[name]})"
    if fields.text("state") not in ("", "delivering"):
        members["paused"] = "hold"
    entry = Mapping(row.line)
    entry.update({"name": name, **members})
    entry.lines.update(dict.fromkeys(entry, row.line))
    translation.entries.append(entry)


def _members(kind: str, params: Mapping) -> dict[str, Any]:
    if kind == "telegram" and params.get("botToken"):
        options = {
            "bot_token": secret_text(str(params["botToken"])),
            "chat_id": str(params.get("chatId", "")),
        }
        return {"kind": "telegram", "url": "https://api.telegram.org", "options": options}
    if kind not in _KINDS:
        return {}
    own_kind, url_name = _KINDS[kind]
    members = {"kind": own_kind, "url": secret_text(str(params.get(url_name) or ""))}
    # Exactly as it is in the file: reading and writing JSON could change a number.
    payload = params.texts.get("payload", "null")
    if own_kind == "webhook" and payload != "null":
        members["payload"] = payload
    return members
