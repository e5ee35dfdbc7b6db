"""Silences: Tocsin sends no notifications for alerts that an active silence matches."""

import re
from collections import Counter
from typing import Any

from flask import Blueprint, abort, g, render_template, request
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
DEFAULT_HOURS = "2"
MAX_COMMENT_LENGTH = 300
_LINKED = ("matchers", "reason")


class SilenceForm(Form):
    """Form of a silence that starts now; a valid one has its `duration` in milliseconds."""

    matchers = TextAreaField("Matchers", default="")
    hours = StringField("Expires after (hours)", default=DEFAULT_HOURS)
    reason = StringField("Comment", default="")

    def validate_matchers(self, matchers):
        with as_validation_error():
            if not parse_matchers(matchers.data):
                raise ValidationError(
                    'Enter matchers such as severity="info". '
                    'To silence every alert, enter alertname=~".*".'
                )

    def validate_hours(self, hours):
        text = hours.data.strip() or DEFAULT_HOURS
        is_number = re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4})?", text, re.ASCII)
        if not is_number or not MIN_HOURS <= float(text) <= MAX_HOURS:
            limits = f"from {MIN_HOURS} to {MAX_HOURS} (a year)"
            raise ValidationError(f"Enter a number of hours {limits}, such as 2 or 0.5.")
        self.duration = round(float(text) * HOUR)

    def validate_reason(self, reason):
        text = reason.data.strip()
        visible = text.isprintable() and has_visible_character(text)
        if not visible or len(text) > MAX_COMMENT_LENGTH:
            raise ValidationError(
                f"Enter a comment of 1 to {MAX_COMMENT_LENGTH} visible characters."
            )


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
    start_silence(form.matchers.data.strip(), form.reason.data.strip(), form.duration)
    message = "The silence is active: matching alerts are stored, and no notification is sent."
    return redirect_with(message, "silences.index")


def start_silence(matchers: str, reason: str, duration: int) -> None:
    """Store a silence of the user that starts now, and drop the openings that it matches."""
    now = now_ms()
    Silence.create(
        matchers=matchers,
        reason=reason,
        made_by=g.person.name,
        created_at=now,
        until=now + duration,
    )
    outbox.apply_silences(now)
    audit.record(AuditAction.SILENCE_CREATED, f"{matchers}: {reason}")


@bp.post("/<int:silence_id>/end")
def end(silence_id: int):
    """Expire a silence now, and return to the page of the posted `alert` if there is one."""
    now = now_ms()
    silence = Silence.id == silence_id
    message = "The silence has ended."
    with db.atomic():
        has_ended = Silence.update(until=now).where(silence, Silence.until > now).execute()
        outbox.end_silence(silence_id, now)
        if has_ended:
            audit.record(AuditAction.SILENCE_ENDED, f"silence {silence_id}")
    if not has_ended:
        if not Silence.select().where(silence).exists():
            abort(404, "There is no such silence.")
        message = "The silence had already ended."
    alert_id = request.form.get("alert", "")
    if re.fullmatch("[0-9]{1,19}", alert_id, re.ASCII):
        return redirect_with(message, "alerts.detail", alert_id=int(alert_id))
    return redirect_with(message, "silences.index")
