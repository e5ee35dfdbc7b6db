"""The versions of channels, the version that made an attempt, and the audit log."""

_STATEMENTS = (
    """CREATE TABLE "channel_version" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        "channel_id" INTEGER NOT NULL, "version" INTEGER NOT NULL, "at" INTEGER NOT NULL,
        "made_by" TEXT NOT NULL, "event" TEXT NOT NULL, "name" TEXT NOT NULL, "kind" TEXT NOT NULL,
        "origin" TEXT NOT NULL, "settings" TEXT NOT NULL, "sealed" TEXT NOT NULL,
        "config_hash" TEXT NOT NULL, "matchers" TEXT NOT NULL, "retries" TEXT NOT NULL,
        "repeat_minutes" INTEGER NOT NULL, "group_by" TEXT NOT NULL, "group_wait" INTEGER NOT NULL,
        "separate" INTEGER NOT NULL, "fallback_id" INTEGER,
        FOREIGN KEY ("channel_id") REFERENCES "channel" ("id") ON DELETE CASCADE) STRICT""",
    """CREATE UNIQUE INDEX "channel_version_channel_id_version" ON "channel_version" ("channel_id", "version")""",
    """CREATE INDEX "channel_version_at" ON "channel_version" ("at")""",
    """INSERT INTO "channel_version" ("channel_id", "version", "at", "made_by", "event", "name", "kind", "origin",
        "settings", "sealed", "config_hash", "matchers", "retries", "repeat_minutes", "group_by", "group_wait",
        "separate", "fallback_id")
    SELECT "id", "version", "updated_at", '', 'before the history began', "name", "kind", "origin", "settings",
        "sealed", "config_hash", "matchers", "retries", "repeat_minutes", "group_by", "group_wait", "separate",
        "fallback_id"
    FROM "channel" WHERE "deleted_at" IS NULL""",
    """ALTER TABLE "attempt" ADD COLUMN "version" INTEGER""",
    """ALTER TABLE "channel" ADD COLUMN "trouble_version" INTEGER""",
    """CREATE TABLE "audit_entry" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "at" INTEGER NOT NULL,
        "made_by" TEXT NOT NULL, "action" TEXT NOT NULL, "detail" TEXT NOT NULL, "address" TEXT NOT NULL) STRICT""",
    """CREATE INDEX "audit_entry_action_at" ON "audit_entry" ("action", "at")""",
)


def up(migrator, db):
    for statement in _STATEMENTS:
        db.execute_sql(" ".join(statement.split()))
