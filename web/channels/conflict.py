"""Compare a stale form with the stored channel."""

from dataclasses import dataclass

from delivery.settings import SECRET_FIELDS, Settings
from web.channels.editor import Edit
from web.channels.forms import values_of


@dataclass(frozen=True)
class Difference:
    """A field whose stored value is not the value in the form."""

    label: str
    theirs: str
    yours: str


def differences(edit: Edit) -> list[Difference]:
    """Return the fields that differ; a secret only says that it was changed."""
    form = edit.form
    theirs = _as_text(values_of(edit.channel, edit.stored or Settings()))
    yours = _as_text({**form.data, "url": form.effective_url})
    labels = {field.name: field.label.text for field in form}
    options = [field.name for field in form.options if field.option.secret]
    secrets = (*SECRET_FIELDS, *options)
    found = []
    for name in {**theirs, **yours}:
        saved = theirs.get(name, "")
        typed = yours.get(name, "")
        if name not in secrets and saved != typed:
            label = labels.get(name, name)
            found.append(Difference(label, _display(name, saved), _display(name, typed)))
    for name in secrets:
        if form[name].entered or form[name].is_removed:
            found.append(Difference(labels[name], "kept as stored", "changed (not shown)"))
    return found


def _display(name: str, text: str) -> str:
    """Mask the URL: it is a credential, and only its own field shows it in full."""
    if name == "url":
        return Settings(url=text).masked_url or "(no usable URL)"
    return text


def _as_text(values: dict) -> dict[str, str]:
    """Return the values as the page shows them, without the version."""
    rows = []
    for row in values["headers"]:
        if row["name"]:
            rows.append(f"{row['name']}: {'(secret)' if row['secret'] else row['value']}")
    texts = {name: str(value) for name, value in values.items() if name != "version"}
    texts["headers"] = "\n".join(rows)
    texts["verify_tls"] = "yes" if values["verify_tls"] else "no"
    return texts
