"""What every view of the channel form shares: opening a channel for an edit, drawing the page, saving."""

import itertools
from dataclasses import dataclass

from flask import Response, abort, make_response, render_template, url_for
from werkzeug.datastructures import MultiDict

from clock import now_ms
from delivery import outbox
from delivery.kinds import kinds
from delivery.settings import Settings, read_settings, write_settings
from delivery.template import NAMES
from models import Attempt, Channel, ChannelState, Proof, db
from web.channels.forms import ChannelForm, values_of
from web.channels.secret_fields import Context
from web.services import services

TESTS_SHOWN = 5


class VersionConflict(Exception):
    """Somebody else has saved the channel since this form was opened."""


@dataclass
class Edit:
    """One channel in the editor: its row (without an id while it is new), what is stored, what is wrong, and the form."""

    channel: Channel
    stored: Settings | None
    problem: str
    form: ChannelForm

    @property
    def base(self) -> str:
        """The address under which this edit's checks, tests and previews live."""
        return url_for("channels.index") + f"/{self.channel.id or 'new'}"

    @property
    def link(self) -> str:
        """Where the message of a test leads to."""
        return f"{services().config.base_url}{self.base}{'/edit' if self.channel.id else ''}"


def get_channel_or_404(channel_id: int) -> Channel:
    """The channel of this id; anything else ends the request with 404."""
    return Channel.find(channel_id) or abort(
        404, "There is no such channel. It may have been deleted."
    )


def open_edit(
    channel_id: int | None, posted: MultiDict | None = None, kind: str = "", url: str = ""
) -> Edit:
    """The edit of a stored channel, or of a new one (of this kind, to this URL) when `channel_id` is None; as posted, else
    as stored."""
    if channel_id is None:
        fresh = {"kind": kind, "url": url or kinds()[kind].base} if kind in kinds() else {}
        return _edit(Channel(name=""), None, "", posted, fresh)
    channel = get_channel_or_404(channel_id)
    stored, problem = read_settings(channel, services().keyring)
    return _edit(channel, stored, problem, posted, values_of(channel, stored))


def _edit(
    channel: Channel, stored: Settings | None, problem: str, posted: MultiDict | None, values: dict
) -> Edit:
    context = Context(
        stored=stored,
        name_taken=lambda name: Channel.name_taken(name, channel.id),
        allow=services().policy.allow,
        keyring=services().keyring,
        posted=posted if posted is not None else MultiDict(),
        fingerprint_key=services().config.secret_key,
        lab=services().policy.lab,
    )
    return Edit(
        channel, stored, problem, ChannelForm(context, **(values if posted is None else {}))
    )


def page(edit: Edit, status: int = 200, **extra) -> Response:
    """The whole editor page."""
    tests = list(Attempt.tests_of(edit.channel, TESTS_SHOWN)) if edit.channel.id else []
    html = render_template(
        "channels/edit.html",
        edit=edit,
        form=edit.form,
        kinds=kinds(),
        names=NAMES,
        tests=tests,
        status=status,
        **extra,
    )
    return make_response(html, status)


def drawn_again(channel_id: int | None, posted: MultiDict, status: int, notice: str) -> Response:
    """The editor with what was typed, and why it comes back; as a new channel when the stored one is gone."""
    known = channel_id is not None and Channel.find(channel_id) is not None
    return page(open_edit(channel_id if known else None, posted), status, notice=notice)


def save(edit: Edit) -> Channel:
    """Writes a valid form: a pure write. Raises Stale, and puts a name that was taken meanwhile into the form's errors."""
    settings, channel, now = edit.form.settings(), edit.channel, now_ms()
    with db.atomic():
        if not channel.id:
            name = edit.form.name.data.strip()
            channel = Channel.create(name=name, kind="", version=0, created_at=now, updated_at=now)
        write_settings(channel, settings, services().keyring, services().config.secret_key)
        _update(channel, edit.form)
        _mended(channel, now)
    return channel


def _mended(channel: Channel, now: int) -> None:
    """A save may have mended what made the channel fail: it delivers again, and what was held for it is due."""
    if (
        Channel.update(state=ChannelState.DELIVERING)
        .where((Channel.id == channel.id) & (Channel.state == ChannelState.FAILING))
        .execute()
    ):
        outbox.release(channel.id, now)


def _update(channel: Channel, form: ChannelForm) -> None:
    """Only over the version that the person saw."""
    seen = str(channel.version) if channel.version == 0 else form.version.data
    same = (Channel.id == channel.id) & (Channel.version == channel.version)
    if str(channel.version) != seen:
        raise VersionConflict
    values = {
        **form.columns(),
        "version": channel.version + 1,
        "updated_at": now_ms(),
        **{
            name: getattr(channel, name)
            for name in ("kind", "origin", "settings", "sealed", "config_hash")
        },
        **_proof(channel.config_hash, channel.proof_hash),
    }
    if not Channel.update(**values).where(same).execute():
        raise VersionConflict


def _proof(config_hash: str, proof_hash: str) -> dict:
    """A test of exactly what is saved now, made before it was saved, proves it."""
    attempt = None if config_hash == proof_hash else Attempt.proof_of(config_hash)
    if attempt is None:
        return {}
    return {"proof": Proof.BY_TEST, "proof_hash": config_hash, "proven_at": attempt.at}


def copy_name(name: str) -> str:
    """A free name for a copy."""
    names = (
        f"{name[:85]} (copy{f' {number}' if number > 1 else ''})" for number in itertools.count(1)
    )
    return next(one for one in names if not Channel.name_taken(one, None))
