"""A database with a given number of deliveries and attempts, written in SQL.

Four channels, one alert that has a tenth of all deliveries, and for each ten others one alert. The
number of open alerts, waiting deliveries and tests does not depend on the size. One alert in ten is
critical, and one in a thousand is of the team `storage`.
"""

from typing import Any

from clock import DAY, HOUR, MINUTE, now_ms
from delivery.alerts.alert import Alert
from delivery.alerts.received import alert_to_json

CHANNELS = 4
BUSY_ALERT = 1
WAITING = 40
OPEN_ALERTS = 40
BODIES = 20_000
HOURS = 24  # that the dashboard shows

_ALERT = Alert(
    id="{number}",
    name="Disk almost full",
    status="{status}",
    labels={
        "instance": "db-{number}.example.com:9100",
        "job": "node",
        "cluster": "eu-central-1",
        "device": "/dev/nvme0n1p2",
        "mountpoint": "/var",
        "severity": "{severity}",
        "team": "{team}",
    },
    annotations={
        "summary": "/var on db-{number} is 93 % full",
        "description": "Less than 7 % of the file system is free, and 1 % of it fills in an hour.",
        "runbook_url": "https://wiki.example.com/runbooks/disk-almost-full",
    },
    starts_at=1_790_000_000_000,
    url="https://prometheus.example.com/graph?g0.expr=node_filesystem_avail_bytes",
)
_FILL = (
    "CREATE TEMP TABLE numbers (i BIGINT)",
    """
    INSERT INTO numbers WITH RECURSIVE n(i) AS (
        SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :size)
    SELECT i FROM n""",
    """
    INSERT INTO alert (id, key, name, status, body, changed_at, seen_at, urgency)
    SELECT i + 1, 'key ' || i, 'Disk almost full', status,
        replace(replace(replace(replace(:alert, '{number}', CAST(i AS TEXT)), '{status}', status),
            '{severity}', iif(i % 10 = 3, 'critical', 'warning')),
            '{team}', iif(i % 1000 = 7, 'storage', 'database')),
        :now - (:size - i * 10) * 10, :now - (:size - i * 10) * 10, iif(i % 10 = 3, 0, 2)
    FROM (
        SELECT i, iif(i = 0 OR i > :size / 10 - :open_alerts, 'open', 'closed') AS status
        FROM numbers WHERE i <= :size / 10) AS part""",
    """
    INSERT INTO delivery (id, channel_id, alert_id, event, repeated, state, due_at, expires_at,
        attempts, claims, body, cause, created_at, settled_at, config_hash, retries, not_found,
        urgency)
    SELECT (:now - (:size - i) * 10) * 1000000 + i, 1 + i / 10 % :channels, alert.id,
        iif(i % 2 = 1, 'open', 'closed'), 0,
        iif(i >= :size - :waiting, 'pending', CASE WHEN i % 100 < 90 THEN 'delivered'
            WHEN i % 100 < 96 THEN 'failed' WHEN i % 100 < 98 THEN 'superseded'
            WHEN i % 100 < 99 THEN 'given_up' ELSE 'dropped' END),
        :now - (:size - i) * 10, :now + :day, 1, 0, iif(i > :size - :bodies, :message, NULL),
        'The receiver answered 200 OK.', :now - (:size - i) * 10,
        iif(i >= :size - :waiting, NULL, :now - (:size - i) * 10 + 300),
        'hash of channel ' || (1 + i / 10 % :channels), 0, 0, alert.urgency
    FROM numbers JOIN alert ON alert.id = iif(i % 10 = 0, 1, 2 + i / 10)""",
    """
    INSERT INTO attempt (channel_id, purpose, at, config_hash, verdict, reason, actor, status,
        milliseconds, receiver, stages, excerpt, says)
    SELECT channel.id, 'test', :now - :day, '', 'delivered', 'ok', 'receiver', 200, 12, 'r',
        '[]', '', ''
    FROM channel CROSS JOIN (SELECT i FROM numbers LIMIT 50) AS part""",
    """
    INSERT INTO attempt (channel_id, delivery_id, number, purpose, at, config_hash, verdict, reason,
        actor, status, milliseconds, receiver, stages, excerpt, says)
    SELECT channel_id, id, 1, 'delivery', created_at, config_hash,
        iif(state = 'delivered', 'delivered', 'failed'),
        iif(state = 'delivered', 'ok', 'http_status'), 'receiver', 200, 12,
        'hooks.example.com', '[{"name": "sent", "milliseconds": 1.5, "detail": "", "ok": true}]',
        '{"ok": true}', 'The receiver answered 200 OK.'
    FROM delivery ORDER BY id""",
    """
    INSERT INTO notification (alert_id, channel_id, delivery_id, notified_id, failures)
    SELECT alert_id, channel_id, max(id), NULL, 0 FROM delivery GROUP BY 1, 2""",
    """
    INSERT INTO settled_count (state, number) SELECT state, count(*) FROM delivery
    WHERE state <> 'pending' GROUP BY 1
    ON CONFLICT (state) DO UPDATE SET number = excluded.number""",
    """
    INSERT INTO activity (hour, channel_id, delivered, retried, failed)
    SELECT (:now / :hour - i) * :hour, channel.id, 50 + i * 7, i % 3, i % 5
    FROM numbers CROSS JOIN channel WHERE i < :hours""",
    """
    INSERT INTO delay_count (hour, bucket, number)
    SELECT (:now / :hour - h.i) * :hour, b.i, 40 - b.i
    FROM numbers h CROSS JOIN numbers b WHERE h.i < :hours AND b.i < 40""",
    "DROP TABLE numbers",
)


def fill(database: Any, size: int) -> None:
    """Fill a prepared database, whose channels exist, with deliveries and attempts.

    Afterwards a server has counted the rows and swept the tables, as it does soon itself.
    """
    parameters = {
        "now": now_ms() - MINUTE,
        "hour": HOUR,
        "day": DAY,
        "size": size,
        "alert": alert_to_json(_ALERT),
        "message": f'{{"text": "{"x" * 400}"}}',
        "channels": CHANNELS,
        "waiting": WAITING,
        "open_alerts": OPEN_ALERTS,
        "bodies": BODIES,
        "hours": HOURS,
    }
    with database.relaxed_durability(), database.atomic():
        [count] = database.execute_sql("SELECT count(*) FROM channel").fetchone()
        assert count == CHANNELS
        for statement in _FILL:
            names = {name: value for name, value in parameters.items() if f":{name}" in statement}
            database.execute_sql(statement, names)
    finish = "VACUUM ANALYZE" if database.is_shared else "PRAGMA wal_checkpoint(TRUNCATE)"
    database.execute_sql(finish)
