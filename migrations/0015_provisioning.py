"""The file that provisions a channel."""


def up(migrator, db):
    db.execute_sql('ALTER TABLE "channel" ADD COLUMN "provisioned" TEXT NOT NULL DEFAULT \'\'')


def down(migrator, db):
    db.execute_sql('ALTER TABLE "channel" DROP COLUMN "provisioned"')
