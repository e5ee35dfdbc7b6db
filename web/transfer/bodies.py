"""What an entry of a file means: the body that a request of the API would have.

Here the texts of secrets become secrets. One that an entry does not name is removed.
"""

from typing import Any, NamedTuple

from delivery.kinds import kinds
from delivery.settings import SECRET_FIELDS, Settings, names_credential
from web.channels.kind_fields import PREFIX
from web.channels.secret_fields import fingerprint_of
from web.services import services
from web.transfer.reading import Mapping
from web.transfer.secret_texts import KEEP, Resolver, parse_secret

OWN_MEMBERS = ("paused", "delete", "fallback")  # those that the API has not, or has otherwise
_TEXTS = ("payload", "body")


class EntryRefused(Exception):
    """An entry cannot be imported, for these reasons by the names of the form's fields."""

    def __init__(self, errors: dict[str, list[str]]):
        super().__init__(str(errors))
        self.errors = errors


class _Place(NamedTuple):
    """Where a secret is: the object, the member, the name of the form's field, its identity."""

    owner: dict[str, Any]
    member: str
    field: str
    identity: str


def body_of(entry: Mapping, stored: Settings, resolve: Resolver | None) -> dict[str, Any]:
    """Return the body for an entry, and for the settings that the channel has now.

    Without `resolve`, no secret may be in a variable or in a file.

    Raises:
        EntryRefused: a secret cannot be had, or a member has another type.
    """
    return _Body(entry, stored, resolve).built()


class _Body:
    def __init__(self, entry: Mapping, stored: Settings, resolve: Resolver | None):
        self._members = {name: entry[name] for name in entry if name not in OWN_MEMBERS}
        self._stored = stored
        self._resolve = resolve

    def built(self) -> dict[str, Any]:
        """Return the body."""
        body = self._members
        for name in _TEXTS:
            if not isinstance(body.get(name, ""), str):
                raise EntryRefused({name: ["Write the JSON as text (in YAML: after a | )."]})
        for name in ("url", *SECRET_FIELDS):
            self._put(_Place(body, name, name, name), getattr(self._stored, name))
        body["headers"] = self._headers()
        body["options"] = self._options()
        return body

    def _headers(self) -> list:
        rows = self._members.get("headers") or []
        if not isinstance(rows, list):
            raise EntryRefused({"headers": ["This must be a list."]})
        return [self._header(number, row) for number, row in enumerate(rows)]

    def _header(self, number: int, row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        name = str(row.get("name", "")).lower()
        if not (row.get("secret") is True or names_credential(name)):
            return row
        stored = {one.name.lower(): one.value for one in self._stored.headers if one.secret}
        copy = {"value": KEEP, **row}
        place = _Place(copy, "value", f"headers-{number}-value", f"header {name}")
        self._put(place, stored.get(name, ""))
        return {**copy, "value": copy.get("value") or ""}

    def _options(self) -> Any:
        options = self._members.get("options") or {}
        kind = kinds().get(str(self._members.get("kind", "webhook")))
        if not isinstance(options, dict) or not kind:
            return options
        copy = dict(options)
        for option in kind.options:
            if option.secret:
                field = f"{PREFIX}{option.name}"
                is_same_kind = self._stored.kind == kind.name
                stored = self._stored.option(option.name) if is_same_kind else ""
                self._put(_Place(copy, option.name, field, field), stored)
        return copy

    def _put(self, place: _Place, stored: str) -> None:
        """Replace the text of a secret by the secret; leave it out to keep the stored one."""
        text = place.owner.get(place.member)
        if not isinstance(text, str) or not text:
            place.owner[place.member] = text or None
            return
        secret = parse_secret(text)
        if secret.source == KEEP:
            self._refuse_other_secret(place, secret.value, stored)
            del place.owner[place.member]
        elif secret.source:
            place.owner[place.member] = self._resolved(place, secret.source, secret.value)
        else:
            place.owner[place.member] = secret.value

    def _refuse_other_secret(self, place: _Place, fingerprint: str, stored: str) -> None:
        if not stored:
            message = "There is no stored secret to keep: write env:NAME, file:/path or the secret."
            raise EntryRefused({place.field: [message]})
        key = services().config.secret_key
        if fingerprint and fingerprint != fingerprint_of(key, place.identity, stored):
            message = (
                "The stored secret is another one now. To keep that, write keep without a "
                "fingerprint; otherwise write the secret."
            )
            raise EntryRefused({place.field: [message]})

    def _resolved(self, place: _Place, source: str, name: str) -> str:
        if self._resolve is None:
            message = f"{source}: works in the command and in TOCSIN_PROVISION, but not here."
            raise EntryRefused({place.field: [message]})
        try:
            return self._resolve(source, name)
        except ValueError as error:
            raise EntryRefused({place.field: [str(error)]}) from None
