"""What became of deliveries in each hour, the urgency of alerts, and indexes of the log."""

from delivery.alerts.matchers import labels_of
from delivery.alerts.received import alert_from_json
from delivery.content.severity import urgency_of

SLICE = 1000  # alerts

_STATEMENTS = (
    """CREATE TABLE "activity" ("hour" INTEGER NOT NULL, "channel_id" INTEGER NOT NULL,
        "delivered" INTEGER NOT NULL, "retried" INTEGER NOT NULL, "failed" INTEGER NOT NULL,
        PRIMARY KEY ("hour", "channel_id")) STRICT, WITHOUT ROWID""",
    """CREATE TABLE "delay_count" ("hour" INTEGER NOT NULL, "bucket" INTEGER NOT NULL,
        "number" INTEGER NOT NULL, PRIMARY KEY ("hour", "bucket")) STRICT, WITHOUT ROWID""",
    """ALTER TABLE "alert" ADD COLUMN "urgency" INTEGER NOT NULL DEFAULT 0""",
)
_INDEX = """CREATE INDEX "alert_open" ON "alert" ("urgency", "changed_at")
    WHERE (status = 'open')"""
_ALERTS = "SELECT id, body FROM alert WHERE id > :after ORDER BY id LIMIT :slice"
_STORE_URGENCY = "UPDATE alert SET urgency = :urgency WHERE id = :id"
# SQLite has the id of a row in every index.
_WITH_ID = {
    "delivery_state": '"state", "id"',
    "delivery_channel_id_state": '"channel_id", "state", "id"',
    "delivery_alert_id_channel_id_state": '"alert_id", "channel_id", "state", "id"',
}


def up(migrator, db):
    for statement in _STATEMENTS:
        db.execute_sql(" ".join(statement.split()))
    _store_urgencies(db)
    db.execute_sql(" ".join(_INDEX.split()))
    if db.is_shared:
        for name, columns in _WITH_ID.items():
            db.execute_sql(f'DROP INDEX "{name}"')
            db.execute_sql(f'CREATE INDEX "{name}" ON "delivery" ({columns})')


def _store_urgencies(db):
    after = 0
    while rows := db.execute_sql(_ALERTS, {"after": after, "slice": SLICE}).fetchall():
        urgencies = []
        for alert_id, body in rows:
            urgency = urgency_of(labels_of(alert_from_json(body)))
            urgencies.append({"id": alert_id, "urgency": urgency})
        db.execute_many(_STORE_URGENCY, urgencies)
        after = rows[-1][0]
