"""Compare a stale form with the stored channel."""

from dataclasses import dataclass

from delivery.settings import SECRET_FIELDS, Settings
from web.channels.editor import Edit
from web.channels.forms import values_of


@dataclass(frozen=True)
class Difference:
    """One field that stands otherwise in the stored channel than in the form."""

    label: str
    theirs: str
    yours: str


def differences(edit: Edit) -> list[Difference]:
    """Field by field, what somebody else saved and what stands in this form; secrets only say that they differ."""
    form, stored = edit.form, edit.stored or Settings()
    secret = [*SECRET_FIELDS, *(field.name for field in form.options if field.option.secret)]
    theirs = _comparable(values_of(edit.channel, stored))
    yours = _comparable({**{field.name: field.data for field in form}, "url": form.address})
    labels = {**{name: name for name in theirs}, **{field.name: field.label.text for field in form}}
    changed = [
        name
        for name in labels
        if name not in secret and theirs.get(name, "") != yours.get(name, "")
    ]
    plain = [
        Difference(
            labels[name], _shown(name, theirs.get(name, "")), _shown(name, yours.get(name, ""))
        )
        for name in changed
    ]
    typed = [name for name in secret if form.carries(name) or form.removes(name)]
    return plain + [
        Difference(labels[name], "kept as stored", "changed (not shown)") for name in typed
    ]


def _comparable(values: dict) -> dict[str, str]:
    rows = [
        f"{row['name']}: {'(secret)' if row['secret'] else row['value']}"
        for row in values["headers"]
        if row["name"]
    ]
    plain = {
        name: str(value)
        for name, value in values.items()
        if name not in ("headers", "version", *SECRET_FIELDS)
    }
    return {
        **plain,
        "verify_tls": "yes" if values["verify_tls"] else "no",
        "headers": "\n".join(rows),
    }


def _shown(name: str, text: str) -> str:
    """The URL is a credential: only its own field shows it in full."""
    if name != "url":
        return text
    target = Settings(url=text).target
    return target.masked if target else "(no URL that could be used)"
