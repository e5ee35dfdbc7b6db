"""Secrets in a form are write-only: what is stored is never shown, and what was typed survives a page that is drawn again.

Blank keeps the stored secret, `<field>-remove` removes it. A secret that was typed before the page was drawn again comes
back sealed in `<field>-carried`, so that the page holds no secret and nothing typed is lost.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from werkzeug.datastructures import MultiDict
from wtforms import Form

from config_values import AllowedTarget
from delivery.guard.addresses import NO_LAB, LabEndpoint
from delivery.secrets.encryption import DecryptionError, Keyring
from delivery.settings import Settings


@dataclass(frozen=True)
class Context:
    """What the form is judged against: the stored channel (if any), the names that are taken, the address policy, the keys."""

    stored: Settings | None
    name_taken: Callable[[str], bool]
    allow: tuple[AllowedTarget, ...]
    keyring: Keyring
    posted: MultiDict = field(default_factory=MultiDict)
    fingerprint_key: str = field(default="", repr=False)
    lab: LabEndpoint = NO_LAB


class SecretFields(Form):
    """What the channel form knows of its secrets; fields are found by name."""

    context: Context

    def secret(self, name: str) -> str:
        """The secret that counts: the one typed now, or typed before this page was drawn again, or the stored one."""
        return (
            self[name].data
            or self._carried(name)
            or ("" if self.removes(name) else self._stored(name))
        )

    def keeps(self, name: str) -> bool:
        """Whether the stored secret of this field stands behind a blank input."""
        typed = self[name].data or self._carried(name)
        return not typed and not self.removes(name) and bool(self.secret(name))

    def removes(self, name: str) -> bool:
        """Whether the person ticked that the stored secret is to go."""
        return self.context.posted.get(f"{name}-remove", "") == "1"

    def carries(self, name: str) -> str:
        """A token that brings a secret typed now through a page that is drawn again, without showing it; else empty."""
        value = (self[name].data or self._carried(name)) if name in self else ""
        return self.context.keyring.encrypt(f"typed {name}", {"value": value}) if value else ""

    def fingerprint(self, name: str) -> str:
        """Names the stored secret of a field, so that people can compare it and learn nothing of it; empty without one."""
        return self._digits(name, self._stored(name))

    def row_fingerprint(self, row) -> str:
        """As `fingerprint`, of a header row."""
        return self._digits(
            f"header {row.form.name.data.strip().lower()}", self._stored_header(row)
        )

    def row_value(self, row) -> str:
        """The value that counts of one header row; a blank secret keeps the stored one of the same header name."""
        if row.value.data or not row.secret.data:
            return row.value.data.strip()
        return self._carried(row.value.name) or self._stored_header(row)

    def row_keeps(self, row) -> bool:
        """Whether a stored secret stands behind this row's blank value."""
        return bool(
            row.secret.data
            and not row.value.data
            and not self._carried(row.value.name)
            and self._stored_header(row)
        )

    def row_carries(self, row) -> str:
        """As `carries`, of a header row that is marked secret."""
        value = (row.value.data or self._carried(row.value.name)) if row.secret.data else ""
        return (
            self.context.keyring.encrypt(f"typed {row.value.name}", {"value": value})
            if value
            else ""
        )

    def _stored(self, name: str) -> str:
        """The stored secret of a field; that of an option only while the kind is the same."""
        stored = self.context.stored
        if stored is None or not name.startswith("options-"):
            return getattr(stored, name, "")
        return (
            stored.option(name.removeprefix("options-")) if stored.kind == self["kind"].data else ""
        )

    def _digits(self, purpose: str, secret: str) -> str:
        text = json.dumps([purpose, secret]).encode()
        return (
            hmac.new(self.context.fingerprint_key.encode(), text, hashlib.sha256).hexdigest()[:8]
            if secret
            else ""
        )

    def _stored_header(self, row) -> str:
        name = row.form.name.data.strip().lower()
        rows = self.context.stored.headers if self.context.stored else ()
        return next((kept.value for kept in rows if kept.secret and kept.name.lower() == name), "")

    def _carried(self, name: str) -> str:
        token = self.context.posted.get(f"{name}-carried", "")
        try:
            return (
                str(self.context.keyring.decrypt(f"typed {name}", token)["value"]) if token else ""
            )
        except (DecryptionError, KeyError):
            return ""
