"""Fire drills: how often a channel has one, and when the next one is."""

_STATEMENTS = (
    """ALTER TABLE "channel" ADD COLUMN "drill_days" INTEGER NOT NULL DEFAULT 0""",
    """ALTER TABLE "channel" ADD COLUMN "drill_at" INTEGER""",
    """ALTER TABLE "channel" ADD COLUMN "drill_failures" INTEGER NOT NULL DEFAULT 0""",
    """ALTER TABLE "channel_version" ADD COLUMN "drill_days" INTEGER NOT NULL DEFAULT 0""",
    """CREATE INDEX "attempt_drill" ON "attempt" ("purpose", "channel_id") WHERE (purpose = 'drill')""",
)
_BACK = (
    """DROP INDEX "attempt_drill" """,
    """DELETE FROM "attempt" WHERE "purpose" = 'drill'""",
    """ALTER TABLE "channel_version" DROP COLUMN "drill_days" """,
    """ALTER TABLE "channel" DROP COLUMN "drill_failures" """,
    """ALTER TABLE "channel" DROP COLUMN "drill_at" """,
    """ALTER TABLE "channel" DROP COLUMN "drill_days" """,
)


def up(migrator, db):
    for statement in _STATEMENTS:
        db.execute_sql(statement)


def down(migrator, db):
    for statement in _BACK:
        db.execute_sql(statement)
