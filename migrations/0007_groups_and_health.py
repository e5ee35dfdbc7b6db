"""Group messages, the order of deliveries, flapping alerts, and the health of channels."""

_STATEMENTS = (
    """ALTER TABLE "channel" ADD COLUMN "group_by" TEXT NOT NULL DEFAULT ''""",
    """ALTER TABLE "channel" ADD COLUMN "group_wait" INTEGER NOT NULL DEFAULT 0""",
    """ALTER TABLE "channel" ADD COLUMN "separate" INTEGER NOT NULL DEFAULT 0""",
    """ALTER TABLE "channel" ADD COLUMN "fallback_id" INTEGER""",
    """ALTER TABLE "channel" ADD COLUMN "drops" INTEGER NOT NULL DEFAULT 0""",
    """ALTER TABLE "channel" ADD COLUMN "attempted_at" INTEGER""",
    # A channel that was used is not shown as unused.
    """UPDATE "channel" SET "attempted_at" = (
        SELECT max("at") FROM "attempt" WHERE "channel_id" = "channel"."id" AND "purpose" = 'delivery')""",
    """ALTER TABLE "channel" ADD COLUMN "trouble_since" INTEGER""",
    """ALTER TABLE "channel" ADD COLUMN "trouble" TEXT NOT NULL DEFAULT ''""",
    """ALTER TABLE "channel" ADD COLUMN "failures" INTEGER NOT NULL DEFAULT 0""",
    """CREATE TABLE "group_message" ("id" INTEGER NOT NULL PRIMARY KEY, "channel_id" INTEGER NOT NULL,
        "content" TEXT NOT NULL, "attempts" INTEGER NOT NULL, "body" TEXT, "config_hash" TEXT NOT NULL,
        "created_at" INTEGER NOT NULL,
        FOREIGN KEY ("channel_id") REFERENCES "channel" ("id") ON DELETE CASCADE) STRICT""",
    """CREATE INDEX "group_message_channel_id" ON "group_message" ("channel_id")""",
    """CREATE INDEX "group_message_body" ON "group_message" ("created_at") WHERE (body IS NOT NULL)""",
    """ALTER TABLE "delivery" ADD COLUMN "urgency" INTEGER NOT NULL DEFAULT 0""",
    """ALTER TABLE "delivery" ADD COLUMN "group_key" TEXT NOT NULL DEFAULT ''""",
    """ALTER TABLE "delivery" ADD COLUMN "message_id" INTEGER
        REFERENCES "group_message" ("id") ON DELETE SET NULL""",
    """ALTER TABLE "delivery" ADD COLUMN "flapping" INTEGER NOT NULL DEFAULT 0""",
    """CREATE INDEX "delivery_urgent" ON "delivery" ("channel_id", "urgency", "due_at") WHERE (state = 'pending')""",
    """CREATE INDEX "delivery_group" ON "delivery" ("channel_id", "group_key", "state")
        WHERE (group_key <> '' AND state IN ('pending', 'sending'))""",
    """CREATE INDEX "delivery_message" ON "delivery" ("message_id") WHERE (message_id IS NOT NULL)""",
    """ALTER TABLE "notification" ADD COLUMN "group_key" TEXT NOT NULL DEFAULT ''""",
    """ALTER TABLE "notification" ADD COLUMN "changes" TEXT NOT NULL DEFAULT ''""",
    """ALTER TABLE "notification" ADD COLUMN "flapping" INTEGER NOT NULL DEFAULT 0""",
    """CREATE INDEX "notification_group" ON "notification" ("channel_id", "group_key")
        WHERE (group_key <> '' AND notified_id IS NOT NULL)""",
    """ALTER TABLE "attempt" ADD COLUMN "message_id" INTEGER
        REFERENCES "group_message" ("id") ON DELETE CASCADE""",
    """CREATE INDEX "attempt_message" ON "attempt" ("message_id") WHERE (message_id IS NOT NULL)""",
)


def up(migrator, db):
    for statement in _STATEMENTS:
        db.execute_sql(" ".join(statement.split()))
