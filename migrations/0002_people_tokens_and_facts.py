"""Create the tables of users, sign-ins, API tokens and facts."""

_STATEMENTS = (
    """CREATE TABLE "user" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT NOT NULL COLLATE NOCASE,
        "role" TEXT NOT NULL, "password" TEXT NOT NULL, "created_at" INTEGER NOT NULL, "seen_at" INTEGER) STRICT""",
    """CREATE UNIQUE INDEX "user_name" ON "user" ("name")""",
    """CREATE TABLE "login" ("digest" TEXT NOT NULL PRIMARY KEY, "user_id" INTEGER NOT NULL, "created_at" INTEGER NOT NULL,
        "seen_at" INTEGER NOT NULL, FOREIGN KEY ("user_id") REFERENCES "user" ("id") ON DELETE CASCADE) STRICT""",
    """CREATE INDEX "login_user_id" ON "login" ("user_id")""",
    """CREATE TABLE "invitation" ("digest" TEXT NOT NULL PRIMARY KEY, "user_id" INTEGER, "expires_at" INTEGER,
        FOREIGN KEY ("user_id") REFERENCES "user" ("id") ON DELETE CASCADE) STRICT""",
    """CREATE UNIQUE INDEX "invitation_user_id" ON "invitation" ("user_id")""",
    """CREATE TABLE "guess" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "account" TEXT NOT NULL,
        "address" TEXT NOT NULL, "at" INTEGER NOT NULL) STRICT""",
    """CREATE INDEX "guess_account" ON "guess" ("account")""",
    """CREATE INDEX "guess_address" ON "guess" ("address")""",
    """CREATE TABLE "token" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT NOT NULL, "digest" TEXT NOT NULL,
        "scopes" TEXT NOT NULL, "made_by" TEXT NOT NULL, "created_at" INTEGER NOT NULL, "expires_at" INTEGER,
        "used_at" INTEGER) STRICT""",
    """CREATE UNIQUE INDEX "token_name" ON "token" ("name")""",
    """CREATE UNIQUE INDEX "token_digest" ON "token" ("digest")""",
    """CREATE TABLE "fact" ("name" TEXT NOT NULL PRIMARY KEY, "value" TEXT NOT NULL) STRICT""",
)


def up(migrator, db):
    for statement in _STATEMENTS:
        # SQLite keeps the text: with single blanks it is what peewee writes, and a test can compare the two.
        db.execute_sql(" ".join(statement.split()))
