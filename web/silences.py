"""Silences: Tocsin sends no notifications for alerts that an active silence matches."""

import re
from collections import Counter
from typing import Any

from flask import Blueprint, abort, render_template, request
from wtforms import Form, StringField, TextAreaField
from wtforms.validators import ValidationError

from clock import HOUR, now_ms
from delivery import outbox
from delivery.alerts.matchers import parse_matchers
from models import AuditAction, Delivery, DeliveryState, Silence, db
from web import audit
from web.redirects import redirect_with
from web.validation import as_validation_error, has_visible_character

bp = Blueprint("silences", __name__, url_prefix="/silences")

MAX_EXPIRED = 50
MAX_COUNTED = 100  # deliveries
MIN_HOURS = 0.1
MAX_HOURS = 8760
MAX_DURATION = MAX_HOURS * HOUR
DEFAULT_HOURS = "2"
MAX_COMMENT_LENGTH = 300
_LINKED = ("matchers", "reason")


class SilenceForm(Form):
    """Form of a silence that starts now; a valid one has its `duration` in milliseconds."""

    matchers = TextAreaField("Matchers", default="")
    hours = StringField("Expires after (hours)", default=DEFAULT_HOURS)
    reason = StringField("Comment", default="")

    def validate_matchers(self, matchers):
        check_matchers(matchers.data)

    def validate_hours(self, hours):
        text = hours.data.strip() or DEFAULT_HOURS
        is_number = re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4})?", text, re.ASCII)
        if not is_number or not MIN_HOURS <= float(text) <= MAX_HOURS:
            limits = f"from {MIN_HOURS} to {MAX_HOURS} (a year)"
            raise ValidationError(f"Enter a number of hours {limits}, such as 2 or 0.5.")
        self.duration = round(float(text) * HOUR)

    def validate_reason(self, reason):
        check_reason(reason.data.strip())


def check_matchers(text: str) -> None:
    """Check the matchers of a silence.

    Raises:
        ValidationError: they are none, or invalid; the message is a sentence.
    """
    with as_validation_error():
        if not parse_matchers(text):
            raise ValidationError(
                'Enter matchers such as severity="info". '
                'To silence every alert, enter alertname=~".*".'
            )


def check_reason(text: str) -> None:
    """Check the comment of a silence; it must be trimmed.

    Raises:
        ValidationError: it is invalid; the message is a sentence.
    """
    visible = text.isprintable() and has_visible_character(text)
    if not visible or len(text) > MAX_COMMENT_LENGTH:
        raise ValidationError(f"Enter a comment of 1 to {MAX_COMMENT_LENGTH} visible characters.")


@bp.get("")
def index():
    """Show the active silences, then the latest expired ones.

    A link can fill in the form: `?matchers=…&reason=…`.
    """
    prefilled = {name: request.args[name] for name in _LINKED if name in request.args}
    return _render(SilenceForm(data=prefilled))


def _render(form: SilenceForm, status: int = 200):
    now = now_ms()
    active = Silence.select().where(Silence.until > now).order_by(Silence.until)
    expired = Silence.select().where(Silence.until <= now).order_by(Silence.until.desc())
    silences = [*active, *expired.limit(MAX_EXPIRED)]
    dropped = _count_dropped()
    page = render_template(
        "silences/index.html",
        silences=silences,
        dropped=dropped,
        max_counted=MAX_COUNTED,
        form=form,
    )
    return page, status


def _count_dropped() -> Counter[str]:
    """Return the number of deliveries that each silence dropped, of the latest ones.

    Their cause starts with the silence, such as `Silence 7: `.
    """
    counts: Counter[str] = Counter()
    columns: Any = Delivery.select(Delivery.cause)
    dropped = columns.where(Delivery.state == DeliveryState.DROPPED).order_by(Delivery.id.desc())
    for (cause,) in dropped.limit(MAX_COUNTED).tuples():
        counts[cause.partition(":")[0]] += 1
    return counts


@bp.post("")
def create():
    """Create a silence that starts now."""
    form = SilenceForm(request.form)
    if not form.validate():
        return _render(form, 422)
    start_silence(form.matchers.data.strip(), form.reason.data.strip(), now_ms() + form.duration)
    message = "The silence is active: matching alerts are stored, and no notification is sent."
    return redirect_with(message, "silences.index")


def start_silence(matchers: str, reason: str, until: int, made_by: str = "") -> Silence:
    """Store a silence that starts now, and drop the openings that it matches.

    It is made by the user or the token of the request, unless another name is passed.
    """
    now = now_ms()
    silence = Silence.create(
        matchers=matchers,
        reason=reason,
        made_by=made_by or audit.actor(),
        created_at=now,
        until=until,
    )
    outbox.apply_silences(now)
    audit.record(AuditAction.SILENCE_CREATED, f"{matchers}: {reason}")
    return silence


@bp.post("/<int:silence_id>/end")
def end(silence_id: int):
    """Expire a silence now, and return to the page of the posted `alert` if there is one."""
    message = "The silence has ended."
    if not end_silence(silence_id):
        message = "The silence had already ended."
    alert_id = request.form.get("alert", "")
    if re.fullmatch("[0-9]{1,19}", alert_id, re.ASCII):
        return redirect_with(message, "alerts.detail", alert_id=int(alert_id))
    return redirect_with(message, "silences.index")


def end_silence(silence_id: int) -> bool:
    """Expire a silence now; return False if it had already ended, and end with 404 without one."""
    now = now_ms()
    silence = Silence.id == silence_id
    with db.atomic():
        has_ended = Silence.update(until=now).where(silence, Silence.until > now).execute()
        outbox.end_silence(silence_id, now)
        if has_ended:
            audit.record(AuditAction.SILENCE_ENDED, f"silence {silence_id}")
    if has_ended:
        return True
    get_silence_or_404(silence_id)
    return False


def get_silence_or_404(silence_id: int) -> Silence:
    """Return the silence with this id, or end the request with 404."""
    return Silence.get_or_none(Silence.id == silence_id) or abort(404, "There is no such silence.")


def change_silence(silence: Silence, reason: str, until: int) -> None:
    """Change the comment and the end of an active silence."""
    with db.atomic():
        Silence.update(reason=reason, until=until).where(Silence.id == silence.id).execute()
        outbox.end_silence(silence.id, until)
        audit.record(AuditAction.SILENCE_CHANGED, f"silence {silence.id}: {reason}")
