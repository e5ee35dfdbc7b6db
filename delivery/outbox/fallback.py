"""Notify the fallback of a channel once when that is not getting through, and once when it is.

That is an alert of Tocsin's own, which only the fallback gets: its deliveries are retried, silenced
and listed as all others. It is never passed on to the fallback of the fallback.
"""

from typing import NamedTuple

from clock import MINUTE
from delivery.alerts.alert import Alert, AlertStatus, rfc3339
from delivery.alerts.own_alerts import KEY_PREFIX, key_of_channel
from delivery.alerts.received import ReceivedAlert
from delivery.outbox.ingest import close_keys, store
from delivery.outbox.statements import execute

NOTIFIED_AFTER = 10 * MINUTE
SENT_AGAIN_AFTER = MINUTE

# Until the fallback is notified, the alert is sent again like those of any source: a notification
# that failed is then due again. One that a user has closed stays so until the channel works.
_IN_TROUBLE = """
    SELECT c.id, c.name, c.trouble_since, c.trouble, (
        SELECT count(*) FROM (
            SELECT 1 FROM delivery WHERE channel_id = c.id AND state IN ('pending', 'held')
            LIMIT :max_waiting) AS part)
    FROM channel c JOIN channel f ON f.id = c.fallback_id AND f.deleted_at IS NULL
    WHERE c.deleted_at IS NULL AND c.state <> 'paused' AND c.trouble_since <= :since
        AND NOT EXISTS (
            SELECT 1 FROM alert a WHERE a.key = :prefix || c.id AND iif(
                a.status = 'open', a.seen_at BETWEEN :seen AND :now OR EXISTS (
                    SELECT 1 FROM notification n WHERE n.alert_id = a.id
                        AND n.channel_id = c.fallback_id AND n.notified_id IS NOT NULL),
                a.changed_at >= c.trouble_since))
    ORDER BY c.id"""
# The keys of Tocsin's alerts are a range of an index.
_WORKING_AGAIN = """
    SELECT a.key, a.body FROM alert a
    WHERE a.key BETWEEN :prefix AND :prefix || '~' AND a.status = 'open'
        AND NOT EXISTS (
            SELECT 1 FROM channel c WHERE a.key = :prefix || c.id
                AND c.deleted_at IS NULL AND c.trouble_since IS NOT NULL)"""
_MAX_WAITING = 1000


class _Trouble(NamedTuple):
    channel_id: int
    name: str
    since: int
    reason: str
    waiting: int


def notify_fallbacks(now: int, public_url: str) -> None:
    """Open an alert for each channel in trouble that has a fallback; close it at its end.

    `public_url` is where people reach Tocsin's pages, empty if nobody knows.
    """
    rows = execute(
        _IN_TROUBLE,
        prefix=KEY_PREFIX,
        now=now,
        since=now - NOTIFIED_AFTER,
        seen=now - SENT_AGAIN_AFTER,
        max_waiting=_MAX_WAITING,
    ).fetchall()
    alerts = [_alert_about(trouble, public_url) for trouble in map(_Trouble._make, rows)]
    if alerts:
        store(alerts, now, urgent=True)
    close_keys(execute(_WORKING_AGAIN, prefix=KEY_PREFIX).fetchall(), now)


def _alert_about(trouble: _Trouble, public_url: str) -> ReceivedAlert:
    url = f"{public_url}/channels/{trouble.channel_id}/edit" if public_url else ""
    alert = Alert(
        name=f"The channel “{trouble.name}” is not getting through",
        status=AlertStatus.OPEN,
        labels={"severity": "critical", "channel": trouble.name},
        annotations={"summary": trouble.reason, "description": _waiting(trouble)},
        starts_at=trouble.since,
        url=url,
    )
    return ReceivedAlert(key_of_channel(trouble.channel_id), alert)


def _waiting(trouble: _Trouble) -> str:
    """Return how many messages wait, and since when none has got through."""
    since = rfc3339(trouble.since)[:16].replace("T", " ")
    number = f"{trouble.waiting:,}" if trouble.waiting < _MAX_WAITING else "1,000 or more"
    messages = "1 message waits" if trouble.waiting == 1 else f"{number} messages wait"
    return f"No message has got through since {since} UTC. {messages} for the channel."
