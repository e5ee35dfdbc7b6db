"""Silences: which are active, and what they stop."""

import json
from collections.abc import Iterable

from delivery.alerts.matchers import Matcher, MatcherError, labels_of, parse_matchers
from delivery.alerts.plans import ActiveSilence
from delivery.alerts.received import alert_from_json
from delivery.alerts.routing import find_silence
from delivery.outbox.statements import execute, execute_many
from models import db

_ACTIVE = """
    SELECT matchers, id, until, 'Silence ' || id || ': ' || reason || ' (' || made_by || ')'
    FROM silence WHERE until > :now"""
_WAITING_OPENINGS = """
    SELECT a.body, json_group_array(d.id) FROM delivery d JOIN alert a ON a.id = d.alert_id
    WHERE d.state IN ('pending', 'held') AND d.event = 'open' GROUP BY a.id"""
_DROP = """
    UPDATE delivery SET state = 'dropped', cause = :cause, settled_at = :now
    WHERE id = :id AND state IN ('pending', 'held')"""
# A flapping alert is looked at when it is calm: if it has closed, no silence stops that.
_REVIEW_AT_END = """
    UPDATE notification SET review_at = :until, silence_id = :silence_id
    WHERE (alert_id, channel_id) = (SELECT alert_id, channel_id FROM delivery WHERE id = :id)
        AND delivery_id = :id AND flapping = 0"""
_REVIEW = """
    UPDATE notification SET review_at = :until WHERE silence_id = :silence_id"""


def read_matchers(text: str) -> tuple[Matcher, ...]:
    """Return the matchers of a channel; damaged ones match every alert, so that none is lost."""
    try:
        return parse_matchers(text)
    except MatcherError:
        return ()


def active_silences(now: int) -> list[ActiveSilence]:
    """Return the silences that have not ended; one with damaged matchers silences nothing."""
    silences = []
    for text, *columns in execute(_ACTIVE, now=now):
        matchers = read_matchers(text)
        if matchers:
            silences.append(ActiveSilence(matchers, *columns))
    return silences


def drop(deliveries: Iterable[tuple[int, ActiveSilence]], now: int) -> None:
    """Drop waiting deliveries, each with its silence; they are planned again when that ends."""
    rows = []
    for delivery_id, silence in deliveries:
        columns = {"until": silence.until, "silence_id": silence.id, "cause": silence.cause}
        rows.append({"id": delivery_id, "now": now, **columns})
    execute_many(_DROP, rows)
    execute_many(_REVIEW_AT_END, rows)


def apply_silences(now: int) -> None:
    """Drop the openings that wait although a silence matches their alert."""
    silences = active_silences(now)
    if not silences:
        return
    dropped = []
    for alert_body, ids in execute(_WAITING_OPENINGS):
        silence = find_silence(labels_of(alert_from_json(alert_body)), silences)
        if silence:
            dropped += [(delivery_id, silence) for delivery_id in json.loads(ids)]
    with db.atomic():
        drop(dropped, now)


def end_silence(silence_id: int, until: int) -> None:
    """Have the alerts planned again that a silence stopped, when it ends."""
    execute(_REVIEW, silence_id=silence_id, until=until)
