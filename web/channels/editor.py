"""Open, draw and save the channel form."""

from dataclasses import dataclass

from flask import Response, abort, make_response, render_template, url_for
from werkzeug.datastructures import MultiDict

from clock import now_ms
from delivery import outbox
from delivery.kinds import kinds
from delivery.placeholders import NAMES
from delivery.settings import Settings, read_settings, write_settings
from models import Attempt, AuditAction, Channel, ChannelState, ChannelVersion, Proof, db
from web import audit
from web.channels.forms import ChannelForm, values_of
from web.channels.health import describe_health
from web.channels.provisioned import refuse_provisioned
from web.channels.secret_fields import Context
from web.prefix import public_link
from web.services import services
from web.validation import parse_drill, parse_repeat

MAX_TESTS_SHOWN = 5


class VersionConflict(Exception):
    """Another user has saved the channel since this form was opened."""


@dataclass
class Edit:
    """One channel in the editor.

    The channel has no id while it is new; `stored` are the defaults then. `problem` says what is
    wrong with the stored row.
    """

    channel: Channel
    stored: Settings
    problem: str
    form: ChannelForm

    @property
    def base(self) -> str:
        """The path below which the checks, tests and previews of this edit are."""
        return f"{url_for('channels.index')}/{self.channel.id or 'new'}"

    @property
    def in_group(self) -> bool:
        """Whether the channel groups alerts, as the form says."""
        return bool(self.form.group_by.text)

    @property
    def alert_url(self) -> str:
        """The link in the message of a test."""
        suffix = "/edit" if self.channel.id else ""
        return public_link(self.base + suffix)


def get_channel_or_404(channel_id: int) -> Channel:
    """Return the channel with this id, or end the request with 404."""
    return Channel.find(channel_id) or abort(
        404, "There is no such channel. It may have been deleted."
    )


def open_edit(
    channel_id: int | None, posted: MultiDict | None = None, values: dict | None = None
) -> Edit:
    """Return the edit of a channel, as posted or as stored; without an id that of a new one.

    `values` fill the form of a new channel.
    """
    channel = Channel(name="")
    stored = Settings()
    problem = ""
    if channel_id is not None:
        channel = get_channel_or_404(channel_id)
        stored, problem = read_settings(channel, services().keyring)
        if posted is None:
            values = values_of(channel, stored)
    context = Context(
        stored=stored,
        name_taken=lambda name: Channel.name_taken(name, channel.id),
        services=services(),
        posted=posted or MultiDict(),
        channel_id=channel.id,
    )
    return Edit(channel, stored, problem, ChannelForm(context, **values or {}))


def _latest_tests(channel: Channel) -> list[Attempt]:
    """Return the latest tests and fire drills, newest first."""
    tests = Attempt.tests_of(channel, MAX_TESTS_SHOWN)
    drills = Attempt.drills_of(channel, MAX_TESTS_SHOWN)
    latest = sorted([*tests, *drills], key=lambda test: test.at, reverse=True)
    return latest[:MAX_TESTS_SHOWN]


def edit_page(edit: Edit, status: int = 200, **context) -> Response:
    """Return the whole editor page."""
    now = now_ms()
    tests = []
    health = None
    holds = False
    if edit.channel.id:
        health = describe_health([edit.channel], now)[edit.channel.id]
        holds = outbox.count_held(edit.channel.id).total > 0
        tests = _latest_tests(edit.channel)
    html = render_template(
        "channels/edit.html",
        edit=edit,
        form=edit.form,
        kinds=kinds(),
        names=NAMES,
        tests=tests,
        now=now,
        health=health,
        holds=holds,
        status=status,
        **context,
    )
    return make_response(html, status)


def redraw_edit(channel_id: int | None, posted: MultiDict, status: int, notice: str) -> Response:
    """Return the editor page as posted, with a notice; as a new channel if it was deleted."""
    if channel_id is not None and Channel.find(channel_id) is None:
        channel_id = None
    return edit_page(open_edit(channel_id, posted), status, notice=notice)


def save(edit: Edit, restored: int | None = None, provisioned: str = "") -> Channel:
    """Store a valid form as the next version of its channel.

    `restored` is the number of the version that the form was filled with, if so; `provisioned`
    names the file that the values come from, if one provisions the channel.

    Raises:
        ProvisionedChannel: another file provisions the channel.
        VersionConflict: another user has saved it since.
        IntegrityError: the name was taken since the validation.
    """
    channel = edit.channel
    refuse_provisioned(channel, provisioned)
    old_hash = channel.config_hash
    now = now_ms()
    with db.atomic():
        action = AuditAction.CHANNEL_SAVED
        event = "saved"
        if restored:
            action = AuditAction.CHANNEL_RESTORED
            event = f"restored from version {restored}"
        if not channel.id:
            action = AuditAction.CHANNEL_CREATED
            event = "created"
            name = edit.form.name.text
            channel = Channel.create(name=name, kind="", version=0, created_at=now, updated_at=now)
        write_settings(
            channel, edit.form.settings(), services().keyring, services().config.secret_key
        )
        _update(channel, edit.form, now)
        store_version(channel.id, action, event, now)
        # A failing channel delivers again, because the save may have repaired it.
        failing = (Channel.id == channel.id) & (Channel.state == ChannelState.FAILING)
        if Channel.update(state=ChannelState.DELIVERING).where(failing).execute():
            outbox.release(channel.id, now)
        if channel.config_hash != old_hash:
            outbox.send_now(channel.id, now)
            outbox.separate(channel.id)
        outbox.review_channel(channel.id, now)
    return channel


def _update(channel: Channel, form: ChannelForm, now: int) -> None:
    """Store the columns, unless the form was opened on another version."""
    if channel.version and form.version.data != str(channel.version):
        raise VersionConflict
    fallback = form.fallback.channel  # None if it was deleted after the validation
    values = {
        "name": form.name.text,
        "matchers": form.matchers.data,
        "group_by": form.group_by.text,
        "group_wait": form.group_wait_seconds,
        "separate": int(form.separate.data),
        "fallback_id": fallback and fallback.id,
        "retries": form.retries.text,
        "repeat_minutes": parse_repeat(form.repeat.data),
        "drill_days": parse_drill(form.drill.data),
        "version": channel.version + 1,
        "updated_at": now,
    }
    for name in ("kind", "origin", "settings", "sealed", "config_hash"):
        values[name] = getattr(channel, name)
    if values["drill_days"] != channel.drill_days:
        values.update(drill_at=None, drill_failures=0)
    if channel.config_hash != channel.proof_hash:
        # A test of exactly this configuration, made before the save, proves it.
        test = Attempt.proof_of(channel.config_hash)
        if test:
            values.update(proof=Proof.BY_TEST, proof_hash=channel.config_hash, proven_at=test.at)
            # An earlier test says nothing about trouble that came later.
            if channel.trouble_since is not None and test.at >= channel.trouble_since:
                values.update(trouble_since=None, trouble="", failures=0)
    unchanged = (Channel.id == channel.id) & (Channel.version == channel.version)
    if not Channel.update(**values).where(unchanged).execute():
        raise VersionConflict


def store_version(channel_id: int, action: AuditAction, event: str, now: int) -> None:
    """Store a saved row as a version of its channel, and in the audit log.

    Call this in the transaction that saves the row.
    """
    ChannelVersion.store(channel_id, event, audit.actor(), now)
    channel = next(iter(Channel.raw("SELECT * FROM channel WHERE id = ?", channel_id)))
    audit.record(action, f"{audit.named(channel)}, version {channel.version}")


def name_copy(name: str) -> str:
    """Return an unused name for a copy."""
    start = name[:85]
    copy = f"{start} (copy)"
    number = 1
    while Channel.name_taken(copy, None):
        number += 1
        copy = f"{start} (copy {number})"
    return copy
