"""Give the installation an id, and each delivery the opening that its message belongs to."""

_STATEMENTS = (
    # NULL for the deliveries of an earlier version, whose keys had neither.
    """ALTER TABLE "delivery" ADD COLUMN "opening" INTEGER""",
    """INSERT OR IGNORE INTO "fact" ("name", "value") VALUES ('installation', lower(hex(randomblob(8))))""",
)


def up(migrator, db):
    for statement in _STATEMENTS:
        db.execute_sql(statement)
