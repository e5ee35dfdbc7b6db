"""Silences: alerts that their matchers match are told to nobody until a time."""

import re

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from wtforms import Form, StringField, TextAreaField
from wtforms.validators import ValidationError

from clock import HOUR, now_ms
from delivery.alerts.matchers import parse
from delivery.redaction import BLANK_LETTERS
from models import LARGEST_ID, DeliveryState, Silence, db
from web.channels.fields import said_as_message

bp = Blueprint("silences", __name__, url_prefix="/silences")

ENDED_SHOWN = 50
_HELD_BACK = """
    SELECT substr(cause, 1, instr(cause, ':') - 1) AS silence, count(*) FROM delivery
    WHERE state = ? AND cause LIKE 'Silence %:%' GROUP BY silence"""
LEAST_HOURS, MOST_HOURS, LONGEST_REASON = 0.1, 8760, 300


class SilenceForm(Form):
    """A silence that is to begin now."""

    matchers = TextAreaField("Which alerts", default="")
    hours = StringField("For how many hours", default="2")
    reason = StringField("Why", default="")

    @property
    def milliseconds(self) -> int:
        """How long a valid form says that it lasts."""
        return round(float(self.hours.data.strip() or "2") * HOUR)

    def validate_matchers(self, matchers):
        with said_as_message():
            if not parse(matchers.data):
                raise ValidationError(
                    'Write which alerts: severity="info". To silence everything, write alertname=~".*".'
                )

    def validate_hours(self, hours):
        text = hours.data.strip() or "2"
        if not (
            re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4})?", text, re.ASCII)
            and LEAST_HOURS <= float(text) <= MOST_HOURS
        ):
            raise ValidationError(
                f"Enter a number of hours from {LEAST_HOURS} to {MOST_HOURS} (a year), such as 2 or 0.5."
            )

    def validate_reason(self, reason):
        text = reason.data.strip()
        escape_invisible = text.isprintable() and any(
            one != " " and one not in BLANK_LETTERS for one in text
        )
        if not escape_invisible or len(text) > LONGEST_REASON:
            raise ValidationError(
                f"Write why, in 1 to {LONGEST_REASON} visible characters: others will wonder."
            )


@bp.get("")
def index():
    """The silences: those that hold something back now, then the latest that have ended."""
    return _page(SilenceForm())


def _page(form: SilenceForm, status: int = 200):
    now = now_ms()
    active = Silence.select().where(Silence.until > now).order_by(Silence.until, Silence.id)
    ended = (
        Silence.select()
        .where(Silence.until <= now)
        .order_by(Silence.until.desc(), Silence.id.desc())
    )
    silences = [*active, *ended.limit(ENDED_SHOWN)]
    return render_template(
        "silences/index.html", silences=silences, held=_held_back(), form=form, now=now
    ), status


def _held_back() -> dict[str, int]:
    """How many deliveries each silence has held back, by the beginning of their cause: `Silence 7`."""
    return dict(db.execute_sql(_HELD_BACK, (DeliveryState.DROPPED,)).fetchall())


@bp.post("")
def create():
    """A new silence, from now on."""
    form, now = SilenceForm(request.form), now_ms()
    if not form.validate():
        return _page(form, 422)
    row = {
        "matchers": form.matchers.data.strip(),
        "reason": form.reason.data.strip(),
        "made_by": g.person.name,
    }
    Silence.create(**row, created_at=now, until=now + form.milliseconds)
    flash("Silenced: alerts that match are stored, and told to nobody.")
    return redirect(url_for("silences.index"), 303)


@bp.post("/<int:silence_id>/end")
def end(silence_id: int):
    """Ends a silence now."""
    now, same = now_ms(), Silence.id == min(silence_id, LARGEST_ID)
    if Silence.get_or_none(same) is None:
        abort(404, "There is no such silence.")
    ended = Silence.update(until=now).where(same & (Silence.until > now)).execute()
    flash("The silence has ended." if ended else "The silence had ended already.")
    return redirect(url_for("silences.index"), 303)
