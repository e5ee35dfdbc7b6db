"""Create the indexes and counts that keep every query short, and the columns of retention."""

_STATEMENTS = (
    """DROP INDEX "delivery_state_due_at" """,
    """DROP INDEX "delivery_channel_id_state_due_at" """,
    """DROP INDEX "delivery_channel_id_id" """,
    """DROP INDEX "delivery_alert_id_channel_id" """,
    """CREATE INDEX "delivery_state" ON "delivery" ("state")""",
    """CREATE INDEX "delivery_channel_id_state" ON "delivery" ("channel_id", "state")""",
    """CREATE INDEX "delivery_alert_id_channel_id_state" ON "delivery" ("alert_id", "channel_id", "state")""",
    """CREATE INDEX "delivery_pending" ON "delivery" ("channel_id", "due_at") WHERE (state = 'pending')""",
    """CREATE INDEX "delivery_final_body" ON "delivery" ("settled_at")
        WHERE (body IS NOT NULL AND state IN ('delivered', 'accepted', 'superseded', 'dropped'))""",
    """CREATE INDEX "attempt_test" ON "attempt" ("purpose", "channel_id") WHERE (purpose = 'test')""",
    """CREATE INDEX "alert_status_changed_at" ON "alert" ("status", "changed_at")""",
    """CREATE INDEX "notification_silence_id" ON "notification" ("silence_id") WHERE (silence_id IS NOT NULL)""",
    """ALTER TABLE "channel" ADD COLUMN "deleted_at" INTEGER""",
    # Of the settled deliveries there are many, and nothing else counts them quickly.
    """CREATE TABLE "settled_count" ("state" TEXT NOT NULL PRIMARY KEY, "number" INTEGER NOT NULL) STRICT""",
    """INSERT INTO "settled_count" ("state", "number") SELECT "state", count(*) FROM "delivery"
        WHERE "state" NOT IN ('pending', 'held', 'sending') GROUP BY "state" """,
    # A trigger for every new row would cost ingest an eighth: delivery/outbox/write_plan.py counts the few that are
    # settled from the start.
    """CREATE TRIGGER "delivery_deleted" AFTER DELETE ON "delivery"
        WHEN old."state" NOT IN ('pending', 'held', 'sending') BEGIN
            UPDATE "settled_count" SET "number" = "number" - 1 WHERE "state" = old."state";
        END""",
    """CREATE TRIGGER "delivery_settled" AFTER UPDATE OF "state" ON "delivery"
        WHEN new."state" <> old."state" AND new."state" NOT IN ('pending', 'held', 'sending') BEGIN
            INSERT INTO "settled_count" ("state", "number") VALUES (new."state", 1)
            ON CONFLICT DO UPDATE SET "number" = "number" + 1;
        END""",
    """CREATE TRIGGER "delivery_resumed" AFTER UPDATE OF "state" ON "delivery"
        WHEN new."state" <> old."state" AND old."state" NOT IN ('pending', 'held', 'sending') BEGIN
            UPDATE "settled_count" SET "number" = "number" - 1 WHERE "state" = old."state";
        END""",
)


def up(migrator, db):
    for statement in _STATEMENTS:
        # SQLite keeps the text: with single blanks it is what peewee writes, and a test can compare the two.
        db.execute_sql(" ".join(statement.split()))
