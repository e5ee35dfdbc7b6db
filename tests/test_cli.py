"""The `tocsin` command: people, tokens and keys without the pages, and what it says to whoever calls it wrongly."""

import base64
import io
import os
import subprocess
import sys
from collections import namedtuple

import click
import pytest
import requests
from argon2.exceptions import VerifyMismatchError
from conftest import PASSWORD, QUICK, ROOT
from peewee import OperationalError

import cli
from clock import DAY, now_ms
from config import VERSION
from delivery.secrets import rotation
from delivery.secrets.encryption import Keyring
from delivery.settings import Settings, write
from models import Channel, Login, Token, User, db
from web.accounts import api_tokens, passwords, users

Ran = namedtuple("Ran", "code out err")
OTHER_KEY = base64.urlsafe_b64encode(b"x" * 32).decode()


class Stdin(io.TextIOWrapper):
    """A standard input that may be a terminal's."""

    def isatty(self):
        return self.terminal


@pytest.fixture
def tocsin(config, monkeypatch, capsys):
    """Runs the command on an installation where `ada` edits and `vera` looks: the exit code and what it said where."""
    for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(config.data_dir))
    monkeypatch.setattr(passwords, "PasswordHasher", lambda: QUICK)

    def run(*arguments, typed=b"", terminal=False):
        monkeypatch.setattr(sys, "stdin", Stdin(io.BytesIO(typed)))
        sys.stdin.terminal = terminal
        return Ran(cli.main(list(arguments)), *capsys.readouterr())

    return run


@pytest.fixture
def channels(config, tocsin):
    """Three channels, sealed with the key in the file."""
    tocsin("user", "list")  # opens the database
    with db.connection_context():
        for name in ("Team a", "Team b", "Team c"):
            channel = Channel.create(name=name, kind="", created_at=1, updated_at=1)
            write(
                channel,
                Settings(url="https://hooks.example/t0ken"),
                Keyring(config.encryption_keys),
                config.secret_key,
            )
            channel.save()


def person(name):
    """The row of somebody."""
    with db.connection_context():
        return User.named(name)


def invited(ran):
    """Whom the printed link is for."""
    with db.connection_context():
        found = users.find_invitation(ran.out.strip().rpartition("/setup/")[2], now_ms())
        return found and found.user.name


def says(ran, code, words):
    """Whether this is a refusal in one line on standard error, and nothing else."""
    return ran.code == code and not ran.out and ran.err.count("\n") == 1 and words in ran.err


# --- people -----------------------------------------------------------------------------------------------------------


def test_somebody_new_is_a_viewer_and_gets_a_link_that_is_good_once(tocsin):
    ran = tocsin("user", "add", " mia ")
    assert ran.code == 0
    assert ran.out.startswith("http://127.0.0.1:8000/setup/")
    assert ran.out.count("\n") == 1
    assert "mia. It works once, for 3 days" in ran.err
    assert invited(ran) == "mia"
    assert (person("mia").role, person("mia").password) == ("viewer", "")


def test_the_link_leads_to_where_people_reach_the_pages(tocsin, monkeypatch):
    monkeypatch.setenv("TOCSIN_PUBLIC_URL", "https://tocsin.example/bell/")
    assert tocsin("user", "add", "mia", "--role", "editor").out.startswith(
        "https://tocsin.example/bell/setup/"
    )
    assert person("mia").role == "editor"


@pytest.mark.parametrize(
    ("typed", "password"),
    [
        (b"four small bells\n", "four small bells"),
        (b"four small bells\r\n", "four small bells"),
        (b"four small bells", "four small bells"),
        (b"  four small bells ", "  four small bells "),
        (b"four small bells\nand a line that is none of it\n", "four small bells"),
        (b"\xef\xbb\xbffour small bells\n", "four small bells"),
        ("vier grüne Glocken 🔔\n".encode(), "vier grüne Glocken 🔔"),
        ("🔔".encode() * 1000, "🔔" * 1000),
    ],
)
def test_a_password_is_one_line_of_standard_input(tocsin, typed, password):
    assert tocsin("user", "add", "mia", "--password-stdin", typed=typed) == Ran(0, "", "")
    assert QUICK.verify(person("mia").password, password)


@pytest.mark.parametrize("command", [("user", "add", "mia"), ("user", "password", "vera")])
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (b"", "at least 8"),
        (b"\nfour small bells", "at least 8"),
        (b"seven77\n", "at least 8"),
        (b"x" * 1001, "at most 1000"),
        (b"x" * 100_000, "at most 1000"),
        ("grüne Glocken\n".encode("latin-1"), "not UTF-8"),
    ],
)
def test_a_password_that_cannot_be_changes_nothing(tocsin, command, typed, words):
    assert says(tocsin(*command, "--password-stdin", typed=typed), 1, words)
    assert person("mia") is None
    assert QUICK.verify(person("vera").password, PASSWORD)


def test_no_standard_input_at_all_is_no_password(tocsin, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert cli.main(["user", "add", "mia", "--password-stdin"]) == 1
    assert "at least 8" in capsys.readouterr().err


def test_on_a_terminal_the_password_is_asked_for_unseen_and_twice(tocsin, monkeypatch):
    asked, answers = (
        [],
        ["four small bells", "four small balls", "four small bells", "four small bells"],
    )
    monkeypatch.setattr(
        click.termui, "hidden_prompt_func", lambda prompt: asked.append(prompt) or answers.pop(0)
    )
    ran = tocsin("user", "add", "mia", "--password-stdin", terminal=True)
    assert (ran.code, ran.out, len(asked)) == (0, "", 4)
    assert QUICK.verify(person("mia").password, "four small bells")


@pytest.mark.parametrize(
    "name", ["", "  ", "a:b", "x" * 65, "two\nlines", "\x1b[31mred", "\udcff", "ada", "ADA"]
)
def test_a_name_that_cannot_be_is_refused(tocsin, name):
    ran = tocsin("user", "add", "--", name)
    assert says(
        ran,
        1,
        "A user named “" if name.lower() == "ada" else "A name has 1 to 64 visible characters",
    )


def test_a_new_password_signs_every_browser_of_theirs_out_and_ends_older_links(tocsin):
    older = tocsin("user", "password", "vera")
    assert invited(older) == "vera"
    assert tocsin(
        "user", "password", "VERA", "--password-stdin", typed=b"four small bells\n"
    ) == Ran(0, "", "")
    assert QUICK.verify(person("vera").password, "four small bells")
    assert invited(older) is None
    with db.connection_context():
        assert [login.user.name for login in Login.select()] == ["ada"]


def test_a_link_to_a_new_password_leaves_the_old_one_until_it_is_used(tocsin):
    assert invited(tocsin("user", "password", "vera")) == "vera"
    assert QUICK.verify(person("vera").password, PASSWORD)
    with db.connection_context():
        assert Login.select().count() == 2


def test_a_role_is_changed(tocsin):
    assert tocsin("user", "role", "vera", "editor") == Ran(0, "", "")
    assert tocsin("user", "role", "ada", "viewer") == Ran(0, "", "")
    assert (person("vera").role, person("ada").role) == ("editor", "viewer")


def test_who_is_removed_is_gone_and_signed_out(tocsin):
    assert tocsin("user", "remove", "vera") == Ran(0, "", "")
    assert person("vera") is None
    with db.connection_context():
        assert [login.user.name for login in Login.select()] == ["ada"]


@pytest.mark.parametrize("arguments", [("remove", "ada"), ("role", "ada", "viewer")])
def test_the_last_editor_stays(tocsin, arguments):
    assert says(tocsin("user", *arguments), 1, "This is the last editor")
    assert person("ada").role == "editor"


def test_everybody_is_listed_with_role_last_visit_and_password(tocsin):
    tocsin("user", "add", "mia")
    with db.connection_context():
        User.update(seen_at=now_ms() - 3 * DAY).where(User.name == "ada").execute()
    assert [line.split() for line in tocsin("user", "list").out.splitlines()] == [
        ["ada", "editor", "last", "here", "3", "days", "ago", "password"],
        ["mia", "viewer", "last", "here", "never", "no", "password"],
        ["vera", "viewer", "last", "here", "never", "password"],
    ]


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_stands_alone_on_standard_output_and_only_its_hash_is_kept(tocsin):
    ran = tocsin(
        "token",
        "add",
        "prometheus",
        "--scope",
        "metrics",
        "--scope",
        "channels:read",
        "--days",
        "3",
    )
    secret = ran.out.removesuffix("\n")
    assert (ran.code, secret[:7], "\n" in secret) == (0, api_tokens.PREFIX, False)
    assert "cannot be shown again" in ran.err
    with db.connection_context():
        token = Token.get(Token.digest == users.digest(secret))
    assert (token.name, token.scopes, token.made_by) == (
        "prometheus",
        "channels:read metrics",
        "the command",
    )
    assert token.expires_at == token.created_at + 3 * DAY


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["", "--scope", "ingest"], "A token's name has 1 to 64"),
        (["\udcff", "--scope", "ingest"], "A token's name has 1 to 64"),
        (["pager", "--scope", "ingest"], "A token named “pager” already exists"),
        (["grafana", "--scope", "ingest", "--days", "0"], "1 to 3650 days"),
        (["grafana", "--scope", "ingest", "--days", "-1"], "1 to 3650 days"),
        (["grafana", "--scope", "ingest", "--days", "99999999999999999999"], "1 to 3650 days"),
    ],
)
def test_a_token_that_cannot_be_is_refused(tocsin, arguments, words):
    tocsin("token", "add", "pager", "--scope", "ingest")
    assert says(tocsin("token", "add", *arguments), 1, words)
    with db.connection_context():
        assert Token.select().count() == 1


def test_tokens_are_listed_with_scopes_last_use_and_expiry(tocsin):
    tocsin("token", "add", "pager", "--scope", "ingest")
    tocsin(
        "token", "add", "metrics of prod", "--scope", "metrics", "--scope", "ingest", "--days", "3"
    )
    with db.connection_context():
        Token.update(used_at=now_ms(), expires_at=0).where(
            Token.name == "metrics of prod"
        ).execute()
    assert [" ".join(line.split()) for line in tocsin("token", "list").out.splitlines()] == [
        "metrics of prod last used just now expires 1970-01-01 00:00 UTC ingest metrics",
        "pager last used never expires never ingest",
    ]


def test_a_revoked_token_is_gone(tocsin):
    tocsin("token", "add", "pager", "--scope", "ingest")
    assert tocsin("token", "revoke", "pager") == Ran(0, "", "")
    with db.connection_context():
        assert not Token.select().count()


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_rotation_seals_everything_with_a_new_key_and_says_so(tocsin, config, channels):
    ran = tocsin("keys", "rotate")
    assert (ran.code, ran.err) == (0, "")
    assert f"encrypted with the first key of {config.keys_file}: 3." in ran.out
    assert "The old keys were removed" in ran.out
    assert config.keys_file.read_text().split() != list(config.encryption_keys)
    assert tocsin("keys", "rotate").code == 0


def test_a_rotation_names_what_could_not_be_opened_and_says_what_to_do(tocsin, config, channels):
    with db.connection_context():
        Channel.update(sealed="damaged").where(Channel.name == "Team b").execute()
    ran = tocsin("keys", "rotate")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert ": 2." in ran.out
    assert (
        "could not be decrypted: Team b. Keep the old keys, enter the URL and secrets of these channels again"
        in ran.err
    )
    assert set(config.encryption_keys) < set(config.keys_file.read_text().split())


def test_a_rotation_of_keys_in_the_variable_says_what_may_leave_it(
    tocsin, config, channels, monkeypatch
):
    monkeypatch.setenv("TOCSIN_ENCRYPTION_KEYS", f"{OTHER_KEY},{config.encryption_keys[0]}")
    ran = tocsin("keys", "rotate")
    assert (ran.code, ran.err) == (0, "")
    assert "the first key of TOCSIN_ENCRYPTION_KEYS: 3." in ran.out
    assert "You can remove all other keys from it now." in ran.out
    monkeypatch.setenv("TOCSIN_ENCRYPTION_KEYS", OTHER_KEY)
    assert tocsin("keys", "rotate").code == 0


@pytest.mark.parametrize("arguments", [("serve",), ("keys", "rotate")])
def test_wrong_keys_are_refused(tocsin, channels, monkeypatch, arguments):
    monkeypatch.setattr(
        cli.WSGIApplication, "run", lambda _: pytest.fail("started with the wrong keys")
    )
    monkeypatch.setenv("TOCSIN_ENCRYPTION_KEYS", OTHER_KEY)
    assert issubclass(rotation.WrongKeys, cli.ConfigError)
    assert says(tocsin(*arguments), 2, "TOCSIN_ENCRYPTION_KEYS: these keys do not open")


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("user", "role", "nobody", "editor"), "There is no user “nobody”."),
        (("user", "password", " nobody "), "There is no user “nobody”."),
        (("user", "password", "nobody", "--password-stdin"), "There is no user “nobody”."),
        (("user", "remove", "nobody"), "There is no user “nobody”."),
        (("user", "remove", "\udcff"), "not UTF-8"),
        (("token", "revoke", "nothing"), "There is no token “nothing”."),
        (("token", "revoke", "\udcff"), "not UTF-8"),
    ],
)
def test_who_or_what_is_unknown_is_said_in_one_line(tocsin, arguments, words):
    assert says(tocsin(*arguments), 1, words)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("user",),
        ("sing",),
        ("user", "add"),
        ("user", "add", "mia", "four small bells"),
        ("user", "add", "mia", "--role", "chief"),
        ("user", "role", "vera", "chief"),
        ("token", "add", "pager"),
        ("token", "add", "pager", "--scope", "everything"),
        ("token", "add", "pager", "--scope", "ingest", "--days", "two"),
        ("keys", "rotate", "now"),
    ],
)
def test_a_wrong_call_says_how_it_is_right_and_makes_nothing(
    tocsin, monkeypatch, tmp_path, arguments
):
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(tmp_path / "elsewhere"))
    ran = tocsin(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Usage: tocsin" in ran.err
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--version",), f"tocsin {VERSION}"),
        (("--help",), "serve   Serve the pages"),
        (("user", "password", "--help"), "--password-stdin"),
        (("token", "add", "--help"), "channels:write"),
    ],
)
def test_help_needs_no_installation(tocsin, monkeypatch, arguments, words):
    monkeypatch.setenv("TOCSIN_BIND", "nonsense")
    ran = tocsin(*arguments)
    assert (ran.code, ran.err) == (0, "")
    assert words in ran.out


def test_the_page_about_the_command_has_every_subcommand_and_every_scope():
    page = (ROOT / "docs" / "command.md").read_text()
    calls = [
        f"{group} {name}"
        for group, one in cli.tocsin.commands.items()
        for name in getattr(one, "commands", [""])
    ]
    assert [call for call in calls if f"`tocsin {call}".rstrip() not in page] == []
    assert [
        scope
        for scope, words in api_tokens.SCOPES.items()
        if f"| `{scope}` | {words.replace('/metrics', '`/metrics`')} |" not in page
    ] == []


def test_an_installation_that_cannot_be_used_says_why_in_one_line(tocsin, config, monkeypatch):
    monkeypatch.setenv("TOCSIN_BIND", "nonsense")
    assert says(tocsin("user", "list"), 2, "TOCSIN_BIND: 'nonsense'")
    monkeypatch.delenv("TOCSIN_BIND")
    config.database.write_bytes(b"this is no database, whatever its name says" * 200)
    assert says(tocsin("user", "list"), 2, "is damaged")
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(config.database))
    assert says(tocsin("user", "list"), 2, "TOCSIN_DATA_DIR: the folder")


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (OperationalError("database is locked"), "The database is busy"),
        (OSError(13, "Permission denied", "password-1.lock"), "Permission denied"),
    ],
)
def test_what_fails_on_the_way_is_said_in_one_line(tocsin, monkeypatch, failure, words):
    def fail():
        raise failure

    monkeypatch.setattr(User, "listed", fail)
    assert says(tocsin("user", "list"), 2, words)


def test_ctrl_c_ends_it_silently(tocsin, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(User, "listed", interrupt)
    ran = tocsin("user", "list")
    assert (ran.code, ran.out, ran.err.strip()) == (130, "", "")


# --- the real thing ---------------------------------------------------------------------------------------------------


def test_nothing_in_the_data_folder_holds_a_password_a_token_or_a_link(tocsin, config):
    tocsin("user", "add", "mia", "--password-stdin", typed=b"four small bells\n")
    link = tocsin("user", "password", "vera").out.strip().rpartition("/setup/")[2]
    token = tocsin("token", "add", "pager", "--scope", "ingest").out.strip()
    kept = b"".join(path.read_bytes() for path in config.data_dir.iterdir())
    assert b"pager" in kept
    for secret in ("four small bells", link, token, token.removeprefix(api_tokens.PREFIX)):
        assert secret
        assert secret.encode() not in kept


def test_the_command_works_as_a_process_and_hashes_as_it_should(tocsin, config):
    command = [sys.executable, str(ROOT / "cli.py"), "user", "add", "mia", "--password-stdin"]
    done = subprocess.run(command, input=b"four small bells\n", capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    tocsin("user", "list")
    assert person("mia").password.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    with pytest.raises(VerifyMismatchError):
        QUICK.verify(person("mia").password, "four small balls")


def test_a_running_server_knows_at_once_who_was_let_in_and_who_was_removed(
    tocsin, live, monkeypatch
):
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(live.folder / "data"))
    monkeypatch.setenv("TOCSIN_BIND", live.url.removeprefix("http://"))
    link = tocsin("user", "add", "mia").out.strip()
    assert requests.get(link, timeout=5).status_code == 200
    assert tocsin("user", "remove", "mia").code == 0
    assert requests.get(link, timeout=5).status_code == 404
