"""What is owed to whom. The web side writes it, the worker drains it, and only this module writes a delivery's state.

Everything here is a short transaction; none is open while something is sent. Times are milliseconds since the epoch and come
from delivery.alerts.alert import Alert, AlertStatusStatus
from models import DeliveryState
from the caller. The statements stand in `outbox.toml`, and rows are tuples: a model instance each would cost ten times as much.
"""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import peewee

from clock import MINUTE, SECOND
from delivery.alerts.alert import Alert, AlertStatus
from delivery.alerts.matchers import Matcher, MatcherError, parse_matchers
from delivery.alerts.routing import (
    DELIVERY_LIFETIME,
    PROBE_INTERVAL,
    WORDS,
    ChannelRoute,
    IngestResult,
    ReceivedAlert,
    WritePlan,
    alert_from_json,
    alert_to_json,
    merged,
    owe,
)
from models import DeliveryState, db

SQL = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
LONGEST_STEP = (12 * 60 + 1) * MINUTE
MOST_WAITING = 200_000
MOST_CLAIMS = 3
AT_A_TIME = 500  # SQLite takes 32 766 values in a statement, other databases fewer


_counted: dict[str, tuple[int, int]] = {}  # by database: when it was counted, and how much waited


class OutboxFull(Exception):
    """So much waits already that nothing more is taken just now."""


# --- alerts in ---------------------------------------------------------------------------------------------------------


def store(incoming: Sequence[ReceivedAlert], now: int, urgent: bool = False) -> list[IngestResult]:
    """Stores alerts and what is owed because of them, all or nothing, in the order given. Raises Full, unless it is urgent.

    An open alert that comes again is told to nobody twice, but for channels that want it repeated, and to those that were
    never told. A closed one is told to whom it was told open.
    """
    with db.atomic():
        if _waiting(now) >= MOST_WAITING and not urgent:
            raise OutboxFull
        last, highest = _run("highest").fetchone()
        known = {row[0]: row[1:] for row in _many("known", [one.key for one in incoming])}
        told = {
            (row[0], row[1]): row[2:] for row in _many("told", [row[0] for row in known.values()])
        }
        # In the order of creation, also where a clock was set back, and in no two databases the same: receivers remember ids.
        batch = WritePlan(now, max(last + 1, now * 1_000_000), told)
        routes, silences = _routes(), _silences(now)
        stored = []
        for one in incoming:
            row = known.get(one.key)
            highest += row is None
            alert_id, before = row[:2] if row else (highest, "")
            alert = merged(one.alert, row[2] if row else "", now)
            known[one.key] = (alert_id, alert.status, text := alert_to_json(alert))
            closes_at = one.closes_at if alert.status == AlertStatus.OPEN else None
            if row:
                changed = None if before == alert.status else now
                batch.alerts.append(
                    (alert.name, alert.status, text, closes_at, changed, now, alert_id)
                )
            else:
                batch.fresh.append(
                    (alert_id, one.key, alert.name, alert.status, text, closes_at, now, now)
                )
            stored.append(
                IngestResult(alert_id, tuple(owe(batch, alert_id, alert, before, routes, silences)))
            )
        _each("new_alert", batch.fresh)
        _each("alert_again", batch.alerts)
        _each("owe", batch.deliveries)
        _each("overtake", batch.overtaken)
        _counted[db.obj.database] = (
            _counted[db.obj.database][0],
            _waiting(now) + len(batch.deliveries),
        )
    return stored


def _waiting(now: int) -> int:
    """How much waits, counted once a second: it takes longer the more there is, which is when there is least time for it."""
    at, count = _counted.get(db.obj.database, (-SECOND, 0))
    if not 0 <= now - at < SECOND:
        at, count = _counted[db.obj.database] = now, _one("waiting", MOST_WAITING)
    return count


def close_overdue(now: int) -> int:
    """Closes open alerts that nobody repeated past their end, some hundreds at a time; how many."""
    rows = _run("overdue", now, AT_A_TIME).fetchall()
    if rows:
        store(
            [
                ReceivedAlert(
                    key, replace(alert_from_json(body), status=AlertStatus.CLOSED, ends_at=now)
                )
                for key, body in rows
            ],
            now,
            urgent=True,
        )
    return len(rows)


def _routes() -> list[ChannelRoute]:
    return [
        ChannelRoute(row[0], row[1], _matchers(row[2]), row[3]) for row in _run("routes").fetchall()
    ]


def _silences(now: int) -> list[tuple[tuple[Matcher, ...], str]]:
    return [
        (_matchers(row[1]), f"Silence {row[0]}: {row[3]} ({row[2]})")
        for row in _run("silences", now).fetchall()
    ]


def _matchers(text: str) -> tuple[Matcher, ...]:
    """A damaged row's matchers match everything: better an alert too many than one that nobody hears of."""
    try:
        return parse_matchers(text)
    except MatcherError:
        return ()


# --- deliveries out ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClaimedDelivery:
    """A delivery that is this worker's to send now, its attempt counted already. `ended` counts the attempts before it that
    came to an end: one that was cut short with its worker takes no step of the schedule.
    """

    id: int
    channel: int
    attempt: int
    repeated: bool
    created_at: int
    expires_at: int
    body: str | None
    alert: Alert
    suspect: bool = False
    ended: int = 0


@dataclass(frozen=True)
class Next:
    """What becomes of a delivery after an attempt: its state, when it is due again, and why, in words."""

    state: str
    due_at: int
    cause: str


@dataclass(frozen=True)
class Settled:
    """An attempt that has ended: of what, what becomes of it, the columns of its row, and the verdict's say on the channel."""

    claimed: ClaimedDelivery
    next: Next
    attempt: dict[str, Any]
    good: bool
    gone: bool


def take_over(now: int, culprit: int = 0, crashed: bool = False) -> int:
    """At the start of the one worker: what an earlier one left in the middle is pending again; how many.

    `culprit` is the delivery whose message it was making when it died. Where it crashed without making one (and was not
    killed from outside), all that were under way are suspects. A delivery is parked when it has been blamed three times.
    """
    words = f"It has ended the worker {MOST_CLAIMS} times: parked, so that it holds up no other."
    with db.atomic():
        if culprit:
            _run("blame", culprit)
        elif crashed:
            _run("suspect")
        _run("park", words, now, MOST_CLAIMS)
        return _run("take_over", now).rowcount


def claim(
    now: int,
    taken: dict[int, int],
    usual: int,
    most: int,
    slow: Iterable[int] = (),
    suspects: int = 1,
) -> list[ClaimedDelivery]:
    """Takes due deliveries, at most `most`; of a channel so many that with those of `taken` they are `usual`, or 1 if it is
    slow. Committed before any work. Of an alert and channel one at a time: a closing never overtakes its own opening. Of those
    that a worker may have died of, at most `suspects`: whichever is under way alone when it happens again, is the one.
    """
    room = {channel: (1 if channel in slow else usual) - count for channel, count in taken.items()}
    full = [channel for channel, free in room.items() if free <= 0]
    claimed: dict[int, ClaimedDelivery] = {}
    with db.atomic():
        rows = db.execute_sql(
            SQL["due"].format(_marks(full)), (now, 0, usual, *full, most)
        ).fetchall()
        if suspects:
            rows += db.execute_sql(
                SQL["due"].format(_marks(full)), (now, 1, usual, *full, 1)
            ).fetchall()
        for row in rows:
            free = room.get(row[1], 1 if row[1] in slow else usual)
            if free > 0:
                room[row[1]] = free - 1
                alert = replace(alert_from_json(row[9]), id=str(row[2]), status=row[4])
                one = ClaimedDelivery(
                    row[0],
                    row[1],
                    row[3] + 1,
                    bool(row[5]),
                    row[6],
                    row[7],
                    row[8],
                    alert,
                    row[10] > 0,
                    row[11],
                )
                claimed[one.id] = one
        _each("claim", [(number,) for number in claimed])
    return list(claimed.values())


def suspected() -> bool:
    """Whether a worker may have died of one of those that wait. Looks through all of them."""
    return bool(_one("suspected"))


def fix_bodies(bodies: Sequence[tuple[str, int]]) -> None:
    """Fixes the bodies (as (body, delivery id)) before they go out for the first time."""
    if bodies:
        with db.atomic():
            _each("fix_body", bodies)


def settle(settled: Sequence[Settled], now: int) -> None:
    """Writes attempts and new states in one transaction. What is not this worker's any more stays as it is."""
    with db.atomic():
        _each("attempt", [one.attempt for one in settled])
        _each("settle", [_settling(one, now) for one in settled])
        for one in settled:
            _judge_channel(one, now)
        _follow(
            [
                one.claimed.id
                for one in settled
                if one.next.state in (DeliveryState.PENDING, DeliveryState.HELD)
            ],
            now,
        )


def _follow(numbers: Sequence[int], now: int) -> None:
    """What became of the alert, or of the channel, while these were under way, counts for them too."""
    _each("overtaken_meanwhile", [(WORDS["closed"], now, number) for number in numbers])
    _each("held_meanwhile", [(WORDS["held"], number) for number in numbers])
    _each("freed_meanwhile", [(now, number) for number in numbers])


def release_claim(claimed: Sequence[ClaimedDelivery], due_at: int, cause: str) -> None:
    """Gives back what was claimed and not begun; it does not count as an attempt."""
    with db.atomic():
        _each("release_claim", [(due_at, cause, one.id, one.attempt) for one in claimed])
        _follow([one.id for one in claimed], due_at)


def _settling(one: Settled, now: int) -> tuple:
    done = None if one.next.state in (DeliveryState.PENDING, DeliveryState.HELD) else now
    return (
        one.next.state,
        one.next.due_at,
        one.next.cause,
        done,
        one.claimed.id,
        one.claimed.attempt,
    )


def _judge_channel(one: Settled, now: int) -> None:
    """A hook that is no more makes the channel failing; a message that arrives heals and proves it."""
    channel = one.claimed.channel
    if one.next.state == DeliveryState.HELD:
        _run("probe_failed", now + PROBE_INTERVAL, channel, now + PROBE_INTERVAL)
    if one.gone and _run("fail_channel", channel, one.attempt["config_hash"]).rowcount:
        _run("hold", WORDS["held"], now + PROBE_INTERVAL, channel)
    if one.good:
        if _run("heal_channel", channel).rowcount:
            release(channel, now)
        _run("prove", now, channel, one.attempt["config_hash"], now - PROBE_INTERVAL)


def next_due(now: int) -> int | None:
    """The milliseconds until the next pending delivery is due; None when none is pending."""
    due = _one("next_due")
    return None if due is None else max(0, due - now)


def sweep(now: int) -> None:
    """Puts right what a clock that was set back left in a far future, and lets each failing channel try one delivery."""
    with db.atomic():
        _run("set_back", now, now + LONGEST_STEP)
        db.execute_sql(SQL["probe"], {"now": now, "latest": now + LONGEST_STEP})
        _run("old_receipts", now - DELIVERY_LIFETIME, now + DELIVERY_LIFETIME)


def newest() -> int:
    """The number of the delivery that was made last."""
    return _one("highest_delivery")


def shift(jump: int, now: int, newest: int) -> None:
    """The clock has jumped by this much, to `now`: what waited before, up to the delivery `newest`, moves with it, so that
    nothing is due, late or over because of that.
    """
    with db.atomic():
        _run("shift_due", jump, jump, newest)
        _run("shift_ends", jump, now, abs(jump) // 2)


# --- what people do --------------------------------------------------------------------------------------------------------


def hold(channel: int, now: int) -> None:
    """The channel was paused: what waits for it is held."""
    _run("hold", WORDS["held"], now, channel)


def release(channel: int, now: int) -> None:
    """The channel delivers again: what was held for it is due, and its day begins anew."""
    _run("release", now, now + DELIVERY_LIFETIME, channel)


def retry_now(delivery_id: int, now: int) -> bool:
    """Makes a delivery due now, also one that failed, was given up or parked; whether that could be done.

    Not where the channel is paused, and not where something newer of the same alert was told, or will be.
    """
    return _changed(
        "hurry",
        now,
        now + DELIVERY_LIFETIME,
        "Somebody asked for another attempt at once.",
        delivery_id,
    )


def snooze(delivery_id: int, minutes: int, now: int) -> bool:
    """Puts a pending delivery off; whether that could be done."""
    due = now + minutes * MINUTE
    return _changed(
        "postpone", due, due + MINUTE, f"Somebody put it off by {minutes} minutes.", delivery_id
    )


def cancel(delivery_id: int, who: str, now: int) -> bool:
    """Ends a delivery that waits; whether that could be done."""
    return _changed("give_up", f"Given up by {who}.", now, delivery_id)


def _changed(statement: str, *values: Any) -> bool:
    with db.atomic():
        return _run(statement, *values).rowcount == 1


# --- statements ------------------------------------------------------------------------------------------------------------


def _run(statement: str, *values: Any) -> Any:
    return db.execute_sql(SQL[statement], values)


def _one(statement: str, *values: Any) -> Any:
    return _run(statement, *values).fetchone()[0]


def _each(statement: str, rows: Sequence[Any]) -> None:
    """peewee has no `executemany` of its own, and its errors should be peewee's all the same."""
    if rows:
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            db.connection().executemany(SQL[statement], rows)


def _many(statement: str, values: Sequence[Any]) -> list[tuple]:
    """The rows for all these values, some hundreds at a time."""
    found: list[tuple] = []
    for begin in range(0, len(values), AT_A_TIME):
        part = values[begin : begin + AT_A_TIME]
        found += db.execute_sql(SQL[statement].format(_marks(part)), part).fetchall()
    return found


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
