"""Sentences for the errors of PostgreSQL."""

from typing import Any

import peewee
import psycopg
from peewee import OperationalError

from config.database_url import DatabaseServer

# Marks in the codes of errors (https://postgresql.org/docs/current/errcodes-appendix.html), and
# the sentence for each of them.
_SENTENCES = (
    (
        ("55P03", "40P01", "40001"),
        "The database is busy: another process has held it for more than five seconds. "
        "Try again in a moment.",
    ),
    (("53100",), "The disk of the server that holds {where} is full. Free some space on it."),
    (
        ("28",),
        "The database {where} refuses the user or the password of TOCSIN_DATABASE_URL ({error}).",
    ),
    (("3D000",), "There is no database {where}. Create it, or correct TOCSIN_DATABASE_URL."),
    (
        ("42501",),
        "The user of TOCSIN_DATABASE_URL lacks a right in {where} ({error}). Make that user the "
        "owner of the database.",
    ),
    (
        ("25006",),
        "The database {where} cannot be written: the server is read-only. Name the primary server "
        "in TOCSIN_DATABASE_URL.",
    ),
    (
        ("", "08", "57P"),
        "The database {where} cannot be reached: {error}. Until it can, alerts are refused and "
        "nothing is sent.",
    ),
)
# A server that refuses a connection gives no code.
_REFUSALS = (
    ("authentication failed", "28"),
    ("no pg_hba.conf entry", "28"),
    ("no password supplied", "28"),
    ("role ", "28"),
    ("does not exist", "3D000"),
    ("permission denied", "42501"),
)


def describe_error(error: Exception, server: DatabaseServer, *, to_stranger: bool = False) -> str:
    """Return a sentence for a failure of the database, or for the failure that caused it."""
    cause = _first_cause(error)
    detail = " ".join(str(cause).split()).rstrip(".")
    if server.password:
        detail = detail.replace(server.password, "…")
    code = _code(cause, detail)
    where = str(server)
    if to_stranger:
        where = server.name
        detail = "its server reports an error"
    for marks, sentence in _SENTENCES:
        if any(code == mark or (mark and code.startswith(mark)) for mark in marks):
            return sentence.format(where=where, error=detail)
    return f"The database {where} cannot be used ({detail})."


def _first_cause(error: BaseException) -> BaseException:
    """Return the error that came first: a rollback after a lost connection fails as well."""
    while isinstance(error.__context__, psycopg.Error | peewee.PeeweeException):
        error = error.__context__
    return error


def _code(error: BaseException, detail: str) -> Any:
    """Return the code of an error, empty for a connection that failed."""
    code = getattr(error, "sqlstate", None)
    if code:
        return code
    for mark, refusal in _REFUSALS:
        if mark in detail:
            return refusal
    is_lost = isinstance(error, psycopg.OperationalError | OperationalError)
    if is_lost:
        return ""
    return "unknown"
