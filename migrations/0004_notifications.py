"""Create notifications: which channels were notified of which alerts."""

_STATEMENTS = (
    """CREATE TABLE "notification" ("alert_id" INTEGER NOT NULL, "channel_id" INTEGER NOT NULL,
        "delivery_id" INTEGER NOT NULL, "notified_id" INTEGER, "failures" INTEGER NOT NULL, "review_at" INTEGER,
        "silence_id" INTEGER, PRIMARY KEY ("alert_id", "channel_id"),
        FOREIGN KEY ("alert_id") REFERENCES "alert" ("id") ON DELETE CASCADE,
        FOREIGN KEY ("channel_id") REFERENCES "channel" ("id") ON DELETE CASCADE) STRICT, WITHOUT ROWID""",
    """CREATE INDEX "notification_review_at" ON "notification" ("review_at") WHERE ("review_at" IS NOT NULL)""",
    """ALTER TABLE "alert" ADD COLUMN "resolved_start" INTEGER""",
    """ALTER TABLE "channel" ADD COLUMN "probe_at" INTEGER""",
    """ALTER TABLE "delivery" ADD COLUMN "config_hash" TEXT NOT NULL DEFAULT ''""",
    """ALTER TABLE "delivery" ADD COLUMN "snapshot" TEXT""",
    """ALTER TABLE "delivery" ADD COLUMN "retries" INTEGER NOT NULL DEFAULT 0""",
    """ALTER TABLE "delivery" ADD COLUMN "not_found" INTEGER NOT NULL DEFAULT 0""",
    # A body was fixed at the first attempt, for the configuration of that time. It is known if the channel was not
    # edited since, and otherwise from the attempt's row; a crash leaves no row, and the body is then built again.
    """UPDATE "delivery" SET "config_hash" = coalesce(
            (SELECT "config_hash" FROM "channel" WHERE "id" = "channel_id" AND "updated_at" < "delivery"."created_at"),
            (SELECT "config_hash" FROM "attempt" WHERE "delivery_id" = "delivery"."id" AND "number" = 1), ''),
        "retries" = (SELECT count(*) FROM "attempt" WHERE "delivery_id" = "delivery"."id")
        WHERE "state" NOT IN ('delivered', 'accepted', 'superseded', 'dropped') AND "attempts" > 0""",
    # Probes of a failing channel were counted as steps of the schedule.
    """UPDATE "delivery" SET "retries" = 0 WHERE "state" = 'held'
        AND "channel_id" IN (SELECT "id" FROM "channel" WHERE "state" = 'failing')""",
    # What an alert states now is the best guess of what its openings stated.
    """UPDATE "delivery" SET "snapshot" = (
            SELECT json_object('name', "body" ->> '$.name', 'labels', "body" -> '$.labels') FROM "alert"
            WHERE "id" = "alert_id" AND json_valid("body"))
        WHERE "event" = 'open' AND "attempts" > 0""",
    # The latest delivery of each pair that no silence dropped. The channel was notified of the opening if one
    # arrived since the last closing that arrived, or may have (Outcome.may_have_arrived): it is being sent, or
    # went out and was not refused. Alerts that are open are reviewed once.
    """INSERT INTO "notification" ("alert_id", "channel_id", "delivery_id", "notified_id", "failures", "review_at")
        SELECT d."alert_id", d."channel_id",
            coalesce(max(CASE WHEN d."state" <> 'dropped' THEN d."id" END), max(d."id")),
            max(CASE WHEN d."event" = 'open' AND (d."state" IN ('delivered', 'accepted')
                    OR (d."state" = 'sending' AND d."body" IS NOT NULL) OR EXISTS (
                        SELECT 1 FROM "attempt" t WHERE t."delivery_id" = d."id"
                            AND t."reason" NOT IN ('http_status', 'redirect', 'body_says_error') AND EXISTS (
                                SELECT 1 FROM json_each(iif(json_valid(t."stages"), t."stages", '[]')) s
                                WHERE s."type" = 'object' AND s."value" ->> '$.name' = 'sent'
                                    AND s."value" ->> '$.ok')))
                AND d."id" > coalesce((
                    SELECT max(c."id") FROM "delivery" c WHERE c."alert_id" = d."alert_id"
                        AND c."channel_id" = d."channel_id" AND c."event" = 'closed'
                        AND c."state" IN ('delivered', 'accepted')), 0) THEN d."id" END),
            0, (SELECT 0 FROM "alert" a WHERE a."id" = d."alert_id" AND a."status" = 'open')
        FROM "delivery" d GROUP BY 1, 2""",
    """UPDATE "delivery" SET "state" = 'superseded', "settled_at" = unixepoch() * 1000,
        "cause" = 'The opening of the alert did not arrive, so its closing is not sent.'
        WHERE "event" = 'closed' AND "state" IN ('pending', 'held') AND EXISTS (
            SELECT 1 FROM "notification" n WHERE n."alert_id" = "delivery"."alert_id"
                AND n."channel_id" = "delivery"."channel_id" AND n."notified_id" IS NULL)""",
)


def up(migrator, db):
    for statement in _STATEMENTS:
        # SQLite keeps the text: with single blanks it is what peewee writes, and a test can compare the two.
        db.execute_sql(" ".join(statement.split()))
