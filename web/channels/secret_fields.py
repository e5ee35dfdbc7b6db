"""Write-only secrets of the channel form.

A stored secret is never shown. A blank input keeps it, and `<field>-remove` removes it. A secret
that was typed before the page was redrawn comes back encrypted in `<field>-carried`: the page
shows no secret, and nothing that was typed is lost.
"""

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from werkzeug.datastructures import MultiDict
from wtforms.validators import ValidationError

from delivery.secrets.encryption import DecryptionError
from delivery.settings import Settings
from web.channels.fields import TextField
from web.services import Services


def fingerprint_of(key: str, identity: str, secret: str) -> str:
    """Return a short keyed hash of a stored secret, for people to compare.

    `identity` is the name of its field, or `header` and the name of the header. Because of the
    key, the hash reveals nothing about a weak secret.
    """
    text = json.dumps([identity, secret]).encode()
    return hmac.new(key.encode(), text, "sha256").hexdigest()[:8]


@dataclass(frozen=True)
class Context:
    """Everything the channel form is judged against besides its own fields."""

    stored: Settings
    name_taken: Callable[[str], bool]
    services: Services
    posted: MultiDict = field(default_factory=MultiDict)
    channel_id: int | None = None  # of a stored channel


class SecretField(TextField):
    """A secret in the form: a field of its own, an option of the kind, or a header's value.

    `data` is what is typed now.
    """

    @property
    def channel_form(self):
        """The channel form, also around a header row; it has the context and the origin."""
        return self._form._parent_form or self._form

    @property
    def stored(self) -> str:
        """The stored secret; empty without one."""
        return getattr(self.channel_form.context.stored, self.name)

    @property
    def identity(self) -> str:
        """The name under which the secret is stored; a part of its fingerprint."""
        return self.name

    @property
    def entered(self) -> str:
        """The new secret, typed now or before the page was redrawn; empty without one."""
        context = self.channel_form.context
        token = context.posted.get(f"{self.name}-carried", "")
        if self.data or not token:
            return self.data
        try:
            return str(context.services.keyring.decrypt(f"typed {self.name}", token)["value"])
        except (DecryptionError, KeyError):
            return ""

    @property
    def is_removed(self) -> bool:
        """True if the stored secret is to be removed."""
        return self.channel_form.context.posted.get(f"{self.name}-remove") == "1"

    @property
    def keeps_stored(self) -> bool:
        """True if a blank input keeps the stored secret."""
        return bool(self.stored) and not self.is_removed and not self.entered

    @property
    def value(self) -> str:
        """The secret to use: the new one, or the stored one that is kept."""
        if self.is_removed:
            return self.entered
        return self.entered or self.stored

    @property
    def resubmission_token(self) -> str:
        """The new secret, encrypted for the redrawn page; empty without one."""
        entered = self.entered
        if not entered:
            return ""
        keyring = self.channel_form.context.services.keyring
        return keyring.encrypt(f"typed {self.name}", {"value": entered})

    @property
    def fingerprint(self) -> str:
        """A short keyed hash of the stored secret, for people to compare."""
        key = self.channel_form.context.services.config.secret_key
        return fingerprint_of(key, self.identity, self.stored)

    def refuse_changed_origin(self) -> None:
        """Refuse to send the stored secret to an origin that it was not saved for.

        Raises: ValidationError.
        """
        if not self.keeps_stored:
            return
        saved_for = self.channel_form.context.stored.origin
        origin = self.channel_form.origin
        if origin and origin != saved_for:
            raise ValidationError(
                f"The URL now points to {origin}, but this secret was saved for "
                f"{saved_for or 'another address'}: enter it again."
            )
