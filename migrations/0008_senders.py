"""The worker that a delivery is under way in, so that each one takes over its own after a crash."""


def up(migrator, db):
    db.execute_sql('ALTER TABLE "delivery" ADD COLUMN "sender" INTEGER NOT NULL DEFAULT 0')
