"""Create alerts, deliveries, silences, receipts and lab requests."""

_STATEMENTS = (
    """CREATE TABLE "alert" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "key" TEXT NOT NULL, "name" TEXT NOT NULL,
        "status" TEXT NOT NULL, "body" TEXT NOT NULL, "closes_at" INTEGER, "changed_at" INTEGER NOT NULL,
        "seen_at" INTEGER NOT NULL) STRICT""",
    """CREATE UNIQUE INDEX "alert_key" ON "alert" ("key")""",
    """CREATE INDEX "alert_closes_at" ON "alert" ("closes_at")""",
    """CREATE TABLE "delivery" ("id" INTEGER NOT NULL PRIMARY KEY, "channel_id" INTEGER NOT NULL, "alert_id" INTEGER NOT NULL,
        "event" TEXT NOT NULL, "repeated" INTEGER NOT NULL, "state" TEXT NOT NULL, "due_at" INTEGER NOT NULL,
        "expires_at" INTEGER NOT NULL, "attempts" INTEGER NOT NULL, "claims" INTEGER NOT NULL, "body" TEXT,
        "cause" TEXT NOT NULL, "created_at" INTEGER NOT NULL, "settled_at" INTEGER,
        FOREIGN KEY ("channel_id") REFERENCES "channel" ("id") ON DELETE CASCADE,
        FOREIGN KEY ("alert_id") REFERENCES "alert" ("id") ON DELETE CASCADE) STRICT""",
    """CREATE INDEX "delivery_state_due_at" ON "delivery" ("state", "due_at")""",
    """CREATE INDEX "delivery_channel_id_state_due_at" ON "delivery" ("channel_id", "state", "due_at")""",
    """CREATE INDEX "delivery_channel_id_id" ON "delivery" ("channel_id", "id")""",
    """CREATE INDEX "delivery_alert_id_channel_id" ON "delivery" ("alert_id", "channel_id")""",
    """CREATE TABLE "silence" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "matchers" TEXT NOT NULL,
        "reason" TEXT NOT NULL, "made_by" TEXT NOT NULL, "created_at" INTEGER NOT NULL, "until" INTEGER NOT NULL) STRICT""",
    """CREATE TABLE "receipt" ("key" TEXT NOT NULL PRIMARY KEY, "answer" TEXT NOT NULL, "at" INTEGER NOT NULL) STRICT""",
    """CREATE INDEX "receipt_at" ON "receipt" ("at")""",
    """CREATE TABLE "lab_request" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "at" INTEGER NOT NULL,
        "method" TEXT NOT NULL, "headers" TEXT NOT NULL, "body" TEXT NOT NULL, "answered" INTEGER NOT NULL) STRICT""",
    """ALTER TABLE "channel" ADD COLUMN "matchers" TEXT NOT NULL DEFAULT ''""",
    """ALTER TABLE "channel" ADD COLUMN "retries" TEXT NOT NULL DEFAULT ''""",
    """ALTER TABLE "channel" ADD COLUMN "repeat_minutes" INTEGER NOT NULL DEFAULT 0""",
    """ALTER TABLE "attempt" ADD COLUMN "delivery_id" INTEGER REFERENCES "delivery" ("id") ON DELETE CASCADE""",
    """ALTER TABLE "attempt" ADD COLUMN "number" INTEGER""",
    """ALTER TABLE "attempt" ADD COLUMN "says" TEXT NOT NULL DEFAULT ''""",
    """CREATE INDEX "attempt_delivery_id" ON "attempt" ("delivery_id")""",
)


def up(migrator, db):
    for statement in _STATEMENTS:
        # SQLite keeps the text: with single blanks it is what peewee writes, and a test can compare the two.
        db.execute_sql(" ".join(statement.split()))
