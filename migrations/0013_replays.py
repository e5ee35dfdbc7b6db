"""Replays of many deliveries."""

_STATEMENT = """
    CREATE TABLE "replay" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        "made_by" TEXT NOT NULL, "created_at" INTEGER NOT NULL, "choice" TEXT NOT NULL,
        "log_filter" TEXT NOT NULL, "query" TEXT NOT NULL, "before" INTEGER NOT NULL,
        "state" TEXT NOT NULL, "counts" TEXT NOT NULL) STRICT"""


def up(migrator, db):
    db.execute_sql(" ".join(_STATEMENT.split()))


def down(migrator, db):
    db.execute_sql('DROP TABLE "replay"')
