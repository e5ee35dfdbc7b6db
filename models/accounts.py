"""Users, their sign-ins, API tokens, and facts about the installation."""

from peewee import BigIntegerField, ForeignKeyField, ModelSelect, TextField, fn
from playhouse.sqlite_ext import AutoIncrementField

from models.states import Role
from models.table import Table


class User(Table):
    """A user account. An editor may change everything, a viewer nothing.

    `name` is unique in any letter case. `password` is an argon2id hash, empty until one is set.
    """

    id = AutoIncrementField()
    name = TextField(unique=True, collation="NOCASE")
    role = TextField(default=Role.VIEWER)
    password = TextField(default="")
    created_at = BigIntegerField()
    seen_at = BigIntegerField(null=True)

    @classmethod
    def named(cls, name: str) -> "User | None":
        """Return the user with this name, or None.

        Letters from A to Z are equal in any case, as in the unique index.
        """
        return cls.get_or_none(fn.LOWER(cls.name) == name.encode().lower().decode())

    @classmethod
    def editors(cls) -> "ModelSelect[User]":
        """Return the editors who can sign in, by password or by proxy."""
        can_sign_in = (cls.password != "") | cls.seen_at.is_null(False)
        return cls.select().where(cls.role == Role.EDITOR, can_sign_in)


class Login(Table):
    """A signed-in browser, by the hash of its cookie. Signing out deletes it."""

    digest = TextField(primary_key=True)
    user = ForeignKeyField(User, backref="logins", on_delete="CASCADE")
    created_at = BigIntegerField()
    seen_at = BigIntegerField()

    @classmethod
    def find_user(cls, digest: str, created_after: int, seen_after: int) -> "User | None":
        """Return the user of a valid login; their `seen_at` is the login's."""
        statement = """
            SELECT "user".id, name, role, password, login.seen_at
            FROM login JOIN "user" ON "user".id = login.user_id
            WHERE login.digest = ? AND login.created_at > ? AND login.seen_at > ?"""
        return next(iter(User.raw(statement, digest, created_after, seen_after)), None)


class Invitation(Table):
    """A link that works once, by its hash.

    It lets its user set a password; without a user, it creates the first editor.
    """

    digest = TextField(primary_key=True)
    user = ForeignKeyField(User, backref="invitations", null=True, unique=True, on_delete="CASCADE")
    expires_at = BigIntegerField(null=True)


class Guess(Table):
    """A failed sign-in: the account and the address. Kept for 15 minutes."""

    id = AutoIncrementField()
    account = TextField(index=True)
    address = TextField(index=True)
    at = BigIntegerField()


class Token(Table):
    """An API token, by its hash. `scopes` are separated by blanks."""

    id = AutoIncrementField()
    name = TextField(unique=True)
    digest = TextField(unique=True)
    scopes = TextField()
    made_by = TextField(default="")
    created_at = BigIntegerField()
    expires_at = BigIntegerField(null=True)
    used_at = BigIntegerField(null=True)

    @classmethod
    def named(cls, name: str) -> "Token | None":
        """Return the token with this name, or None."""
        return cls.get_or_none(cls.name == name)


class Fact(Table):
    """A named value that the installation stores about itself."""

    # Why the files of TOCSIN_PROVISION were not applied; empty if they were.
    PROVISIONING_PROBLEM = "provisioning problem"

    name = TextField(primary_key=True)
    value = TextField()

    @classmethod
    def store(cls, name: str, value: str) -> None:
        """Store a fact in place of an earlier one with this name."""
        row = cls.insert(name=name, value=value)
        row.on_conflict(conflict_target=[cls.name], preserve=[cls.value]).execute()
