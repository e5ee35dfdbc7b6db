"""Run the command `tocsin` on the installation of a test."""

import io
import os
import sys
from collections import namedtuple

import pytest
from argon2 import PasswordHasher
from databases import ON_POSTGRESQL

import cli
from web.accounts import passwords

Ran = namedtuple("Ran", "code out err")
# A real hash takes 0.1 s, and the tests compute thousands.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Stdin(io.TextIOWrapper):
    """Standard input that can pretend to be a terminal."""

    def isatty(self):
        return self.terminal


@pytest.fixture
def tocsin(config, monkeypatch, capsys):
    """Return a function that runs the command: its exit code and output."""
    for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(config.data_dir))
    if ON_POSTGRESQL:
        monkeypatch.setenv("TOCSIN_DATABASE_URL", config.database.url)
    monkeypatch.setattr(passwords, "PasswordHasher", lambda: QUICK)

    def run(*arguments, typed=b"", terminal=False):
        monkeypatch.setattr(sys, "stdin", Stdin(io.BytesIO(typed)))
        sys.stdin.terminal = terminal
        return Ran(cli.main(list(arguments)), *capsys.readouterr())

    return run
