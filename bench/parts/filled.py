"""A database with a given number of deliveries and attempts, written in SQL.

Four channels, one alert that has a tenth of all deliveries, and for each ten others one alert. The
number of open alerts, waiting deliveries and tests does not depend on the size.
"""

import time
from pathlib import Path

import database
from models import Channel, db

CHANNELS = 4
BUSY_ALERT = 1
WAITING = 40
OPEN_ALERTS = 40
BODIES = 20_000
MINUTE = 60_000

_FILL = (
    """
    CREATE TEMP TABLE numbers AS WITH RECURSIVE n(i) AS (
        SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :size) SELECT i FROM n""",
    """
    INSERT INTO alert (id, key, name, status, body, changed_at, seen_at)
    SELECT i + 1, 'key ' || i, 'Disk almost full',
        iif(i = 0 OR i > :size / 10 - :open_alerts, 'open', 'closed'),
        json_object('name', 'Disk almost full', 'status',
            iif(i = 0 OR i > :size / 10 - :open_alerts, 'open', 'closed'), 'labels',
            json_object('instance', 'db-' || i, 'severity', 'warning', 'team', 'database'),
            'annotations', json_object('summary', '/var on db-' || i || ' is 93 % full')),
        :now - (:size - i * 10) * 10, :now - (:size - i * 10) * 10
    FROM numbers WHERE i <= :size / 10""",
    """
    INSERT INTO delivery (id, channel_id, alert_id, event, repeated, state, due_at, expires_at,
        attempts, claims, body, cause, created_at, settled_at, config_hash, retries, not_found)
    SELECT (:now - (:size - i) * 10) * 1000000 + i, 1 + i / 10 % :channels,
        iif(i % 10 = 0, 1, 2 + i / 10), iif(i % 2, 'open', 'closed'), 0,
        iif(i >= :size - :waiting, 'pending', CASE WHEN i % 100 < 90 THEN 'delivered'
            WHEN i % 100 < 96 THEN 'failed' WHEN i % 100 < 98 THEN 'superseded'
            WHEN i % 100 < 99 THEN 'given_up' ELSE 'dropped' END),
        :now - (:size - i) * 10, :now + 86400000, 1, 0,
        iif(i > :size - :bodies, json_object('text', printf('%.400c', 'x')), NULL),
        'The receiver answered 200 OK.', :now - (:size - i) * 10,
        iif(i >= :size - :waiting, NULL, :now - (:size - i) * 10 + 300),
        'hash of channel ' || (1 + i / 10 % :channels), 0, 0
    FROM numbers""",
    """
    INSERT INTO attempt (channel_id, purpose, at, config_hash, verdict, reason, actor, status,
        milliseconds, receiver, stages, excerpt, says)
    SELECT channel.id, 'test', :now - 86400000, '', 'delivered', 'ok', 'receiver', 200, 12, 'r',
        '[]', '', ''
    FROM channel, (SELECT i FROM numbers LIMIT 50)""",
    """
    INSERT INTO attempt (channel_id, delivery_id, number, purpose, at, config_hash, verdict, reason,
        actor, status, milliseconds, receiver, stages, excerpt, says)
    SELECT channel_id, id, 1, 'delivery', created_at, config_hash,
        iif(state = 'delivered', 'delivered', 'failed'), 'ok', 'receiver', 200, 12,
        'hooks.example.com', '[{"name": "sent", "milliseconds": 1.5, "detail": "", "ok": true}]',
        '{"ok": true}', 'The receiver answered 200 OK.'
    FROM delivery""",
    """
    INSERT INTO notification (alert_id, channel_id, delivery_id, notified_id, failures)
    SELECT alert_id, channel_id, max(id), NULL, 0 FROM delivery GROUP BY 1, 2""",
    """
    REPLACE INTO settled_count (state, number) SELECT state, count(*) FROM delivery
    WHERE state <> 'pending' GROUP BY 1""",
    "DROP TABLE numbers",
)


def fill(path: Path, size: int) -> None:
    """Fill a prepared database, whose channels exist, with deliveries and attempts."""
    assert Channel.select().count() == CHANNELS
    parameters = {
        "now": time.time_ns() // 1_000_000 - MINUTE,
        "size": size,
        "channels": CHANNELS,
        "waiting": WAITING,
        "open_alerts": OPEN_ALERTS,
        "bodies": BODIES,
    }
    with database.relaxed_durability(), db.atomic():
        for statement in _FILL:
            names = {name: value for name, value in parameters.items() if f":{name}" in statement}
            db.execute_sql(statement, names)
    db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
