"""Several receivers of the lab. The one of earlier versions keeps its address and its response."""

import hmac
import secrets
import time

_STATEMENTS = (
    """CREATE TABLE "lab_receiver" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT NOT NULL,
        "path" TEXT NOT NULL, "responses" TEXT NOT NULL, "restarts" INTEGER NOT NULL DEFAULT 0,
        "served" INTEGER NOT NULL DEFAULT 0, "signing" TEXT NOT NULL DEFAULT 'none',
        "timestamp_header" TEXT NOT NULL DEFAULT '', "sealed" TEXT NOT NULL DEFAULT '',
        "created_at" INTEGER NOT NULL) STRICT""",
    """CREATE UNIQUE INDEX "lab_receiver_name" ON "lab_receiver" ("name")""",
    """CREATE UNIQUE INDEX "lab_receiver_path" ON "lab_receiver" ("path")""",
    """ALTER TABLE "lab_request" ADD COLUMN "receiver_id" INTEGER
        REFERENCES "lab_receiver" ("id") ON DELETE CASCADE""",
    """CREATE INDEX "lab_request_receiver_id" ON "lab_request" ("receiver_id")""",
    """ALTER TABLE "lab_request" ADD COLUMN "response" TEXT NOT NULL DEFAULT ''""",
    """ALTER TABLE "lab_request" ADD COLUMN "signature" TEXT NOT NULL DEFAULT ''""",
    """ALTER TABLE "lab_request" ADD COLUMN "finding" TEXT NOT NULL DEFAULT ''""",
)
_ADD_RECEIVER = """
    INSERT INTO lab_receiver (name, path, responses, restarts, created_at)
    VALUES (:name, :path, :responses, :restarts, :now)"""
_ADD_KEY = "INSERT INTO fact (name, value) VALUES ('lab key', :key)"
_READ_FACT = "SELECT value FROM fact WHERE name = :name"


def up(migrator, db):
    for statement in _STATEMENTS:
        db.execute_sql(" ".join(statement.split()))
    first = _fact(db, "lab")
    if first:
        _add(db, name="Lab", path=first, responses=_fact(db, "lab answers") or "200", restarts=0)
        db.execute_sql("UPDATE lab_request SET receiver_id = (SELECT max(id) FROM lab_receiver)")
    db.execute_sql("DELETE FROM lab_request WHERE receiver_id IS NULL")
    db.execute_sql("DELETE FROM fact WHERE name = 'lab answers'")
    # As delivery/guard/lab.py signs the path of a receiver.
    key = secrets.token_hex(32)
    db.execute_sql(_ADD_KEY, {"key": key})
    number = secrets.token_hex(12)
    path = number + hmac.digest(key.encode(), number.encode(), "sha256").hex()[:24]
    _add(db, name="Tour", path=path, responses="500,200", restarts=1)


def _fact(db, name):
    row = db.execute_sql(_READ_FACT, {"name": name}).fetchone()
    return row[0] if row else ""


def _add(db, **columns):
    db.execute_sql(_ADD_RECEIVER, {**columns, "now": int(time.time() * 1000)})
