"""Compare a stale form with the stored channel."""

from delivery.alerts.grouping import DEFAULT_GROUP_WAIT
from delivery.settings import SECRET_FIELDS, Settings
from web.channels.editor import Edit
from web.channels.forms import values_of


def differences(edit: Edit) -> list[tuple[str, str, str]]:
    """Return (label, stored value, typed value) of the fields that differ.

    A secret only says that it was changed.
    """
    form = edit.form
    fallbacks = dict(form.fallback.choices)
    theirs = _as_text(values_of(edit.channel, edit.stored), fallbacks)
    rows = [vars(row.header) for row in form.headers.filled]
    typed_values = {**form.data, "url": form.effective_url, "headers": rows}
    yours = _as_text(typed_values, fallbacks)
    if not form.group_wait.text and form.group_by.text:
        yours["group_wait"] = str(DEFAULT_GROUP_WAIT)  # as it is stored
    options = [field.name for field in form.options if field.option.secret]
    for name in (*SECRET_FIELDS, *options):
        yours[name] = theirs[name] = "kept as stored"
        if form[name].entered or form[name].is_removed:
            yours[name] = "changed (not shown)"
    labels = {field.name: field.label.text for field in form}
    found = []
    for name in theirs | yours:
        saved = theirs.get(name, "")
        typed = yours.get(name, "")
        if saved != typed:
            found.append((labels.get(name, name), _display(name, saved), _display(name, typed)))
    return found


def _display(name: str, text: str) -> str:
    """Mask the URL: it is a credential, and only its own field shows it in full."""
    if name == "url":
        return Settings(url=text).masked_url or "(no usable URL)"
    return text


def _as_text(values: dict, fallbacks: dict[str, str]) -> dict[str, str]:
    """Return the values as the page shows them, without the version."""
    rows = []
    for row in values["headers"]:
        if row["name"]:
            rows.append(f"{row['name']}: {'(secret)' if row['secret'] else row['value']}")
    texts = {name: str(value) for name, value in values.items() if name != "version"}
    texts["headers"] = "\n".join(rows)
    for name in ("verify_tls", "separate"):
        texts[name] = "yes" if values[name] else "no"
    texts["fallback"] = fallbacks.get(texts["fallback"], "(a deleted channel)")
    return texts
