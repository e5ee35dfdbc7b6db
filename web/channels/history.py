"""The history of a channel: its versions, what each of them changed, and their restoration.

A restored version is a save of the form with its values: the same rules and effects apply.
"""

from collections.abc import Iterable
from itertools import zip_longest
from typing import NamedTuple

from flask import Blueprint, abort, render_template, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from delivery.settings import SECRET_FIELDS, read_settings
from models import AuditAction, Channel, ChannelVersion
from models.history import MAX_VERSIONS
from web import audit
from web.channels.comparison import (
    Configuration,
    Difference,
    differences,
    options_of,
    secret_headers,
    stored_configuration,
)
from web.channels.editor import Edit, get_channel_or_404, open_edit
from web.channels.kind_fields import PREFIX
from web.channels.views import save_or_explain
from web.redirects import redirect_with
from web.services import services

bp = Blueprint("history", __name__, url_prefix="/channels")


class _Stored(NamedTuple):
    """A version with its configuration; `problem` says why that cannot be read."""

    row: ChannelVersion
    configuration: Configuration
    problem: str


class Entry(NamedTuple):
    """A version as the page shows it.

    `changes` are the fields that it changed, None if it cannot be compared with an earlier one.
    """

    row: ChannelVersion
    problem: str
    changes: list[Difference] | None


@bp.get("/<int:channel_id>/history")
def index(channel_id: int) -> str:
    """Show the versions of a channel, newest first, and what each of them changed."""
    channel = get_channel_or_404(channel_id)
    return render_template(
        "channels/history.html",
        channel=channel,
        entries=entries_of(channel),
        max_versions=MAX_VERSIONS,
    )


def entries_of(channel: Channel) -> list[Entry]:
    """Return the versions of a channel, newest first, with what each of them changed."""
    stored = list(map(_read, ChannelVersion.of(channel)))
    form = open_edit(channel.id).form
    hidden = _secret_in(stored)
    entries = []
    for one, earlier in zip_longest(stored, stored[1:]):
        changes = None
        if earlier and not (one.problem or earlier.problem):
            changes = differences(earlier.configuration, one.configuration, form, hidden)
        entries.append(Entry(one.row, one.problem, changes))
    return entries


def hidden_headers(channel: Channel) -> frozenset[str]:
    """Return the names, in lower case, of the headers that are secret in any version."""
    return _secret_in(map(_read, ChannelVersion.of(channel)))


def _secret_in(stored: Iterable[_Stored]) -> frozenset[str]:
    # A value that was readable once is hidden in all versions when its header is a secret later.
    return secret_headers(*(one.configuration.headers for one in stored))


def _read(row: ChannelVersion) -> _Stored:
    channel = row.as_channel()
    settings, problem = read_settings(channel, services().keyring)
    return _Stored(row, stored_configuration(channel, settings), problem)


@bp.post("/<int:channel_id>/history/<int:number>/restore")
def restore(channel_id: int, number: int) -> Response:
    """Save the configuration of an older version as a new one, unless that changes nothing."""
    channel = get_channel_or_404(channel_id)
    edit, refusal = open_restoration(channel, number, request.form.get("version", ""))
    if edit is None:
        return redirect_with(refusal, "history.index", "bad", channel_id=channel.id)
    if refusal:
        return redirect_with(refusal, "history.index", channel_id=channel.id)
    return save_or_explain(edit, restored=number)


def find_version_or_404(channel: Channel, number: int) -> ChannelVersion:
    """Return a version of a channel, or end the request with 404."""
    return ChannelVersion.find(channel, number) or abort(
        404, f"There is no such version. A channel keeps its newest {MAX_VERSIONS} versions."
    )


def open_restoration(
    channel: Channel, number: int, current_version: str
) -> tuple[Edit | None, str]:
    """Return the form of a channel with the values of an older version.

    Beside it, the text says that the version is the same as the current one; without the form, why
    it cannot be restored.
    """
    version = _read(find_version_or_404(channel, number))
    if version.problem:
        return None, f"Version {number} cannot be restored. {version.problem}"
    data = _form_data(version.configuration)
    data["version"] = current_version
    edit = open_edit(channel.id, data)
    current = stored_configuration(edit.channel, edit.stored)
    if not edit.problem and not differences(current, version.configuration, edit.form):
        return (
            edit,
            f"Nothing was changed: version {number} is the same as the current version.",
        )
    return edit, ""


def _form_data(configuration: Configuration) -> MultiDict:
    """Return what a page would post for a configuration, with every secret."""
    data: MultiDict = MultiDict()
    for name, value in configuration.values.items():
        if name != "headers":
            data[name] = "0" if value is False else str(value)
    for number, header in enumerate(configuration.headers):
        data[f"headers-{number}-name"] = header.name
        data[f"headers-{number}-value"] = header.value
        data[f"headers-{number}-secret"] = str(int(header.secret))
    # What is not posted would keep its stored value.
    for option in options_of(configuration.values["kind"]):
        data.setdefault(PREFIX + option.name, "")
        if option.secret:
            data[f"{PREFIX}{option.name}-remove"] = "1"
    for name in SECRET_FIELDS:
        data[f"{name}-remove"] = "1"
    for name, value in configuration.secrets.items():
        if value:
            data[name] = value
            data.pop(f"{name}-remove", None)
    return data


@bp.post("/<int:channel_id>/history/delete")
def delete_older(channel_id: int) -> Response:
    """Delete the versions before the current one, with the secrets in them."""
    channel = get_channel_or_404(channel_id)
    older = ChannelVersion.version < channel.version
    count = ChannelVersion.delete().where(ChannelVersion.channel == channel, older).execute()
    audit.record(AuditAction.VERSIONS_DELETED, f"{audit.named(channel)}: {count}")
    message = "The older versions are deleted, with their secrets."
    return redirect_with(message, "history.index", channel_id=channel.id)
