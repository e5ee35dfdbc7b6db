"""The `tocsin` command: users, tokens, keys, and its error messages."""

import base64
import subprocess
import sys

import click
import pytest
import requests
from argon2.exceptions import VerifyMismatchError
from conftest import PASSWORD, QUICK, ROOT
from databases import ON_POSTGRESQL, contents_of, only_sqlite
from peewee import OperationalError
from tocsin_command import Ran

import cli
from clock import DAY, now_ms
from commands import processes
from config import VERSION
from delivery.secrets import rotation
from delivery.secrets.encryption import Keyring
from delivery.settings import Settings, write_settings
from models import Channel, Login, Token, User, db
from web.accounts import api_tokens, users

OTHER_KEY = base64.urlsafe_b64encode(b"x" * 32).decode()


@pytest.fixture
def channels(config, tocsin):
    """Create three channels, encrypted with the key in the file."""
    tocsin("user", "list")  # opens the database
    with db.connection_context():
        for name in ("Team a", "Team b", "Team c"):
            channel = Channel.create(name=name, kind="", created_at=1, updated_at=1)
            write_settings(
                channel,
                Settings(url="https://hooks.example/t0ken"),
                Keyring(config.encryption_keys),
                config.secret_key,
            )
            channel.save()


def user_named(name):
    """Return the row of a user."""
    with db.connection_context():
        return User.named(name)


def invited_user(ran):
    """Return the name of the user that the printed link is for, or None."""
    with db.connection_context():
        invitation = users.find_invitation(ran.out.strip().rpartition("/setup/")[2], now_ms())
        return invitation and invitation.user.name


def is_refusal(ran, code, message):
    """Return True if the output is this message in one line on standard error, and no more."""
    return ran.code == code and not ran.out and ran.err.count("\n") == 1 and message in ran.err


def test_every_command_names_a_misspelt_variable_and_prints_its_result_alone(tocsin, monkeypatch):
    monkeypatch.setenv("TOCSIN_PUBLC_URL", "https://tocsin.example")
    ran = tocsin("user", "list")
    assert "Did you mean TOCSIN_PUBLIC_URL?" in ran.err
    assert "PUBLC" not in ran.out


# --- users ----------------------------------------------------------------------------------------


def test_a_new_user_is_a_viewer_and_gets_a_link(tocsin):
    ran = tocsin("user", "add", " mia ")
    assert ran.code == 0
    assert ran.out.startswith("http://127.0.0.1:8000/setup/")
    assert ran.out.count("\n") == 1
    assert "mia. It works once, for 3 days" in ran.err
    assert invited_user(ran) == "mia"
    assert (user_named("mia").role, user_named("mia").password) == ("viewer", "")


def test_the_link_begins_with_the_public_url(tocsin, monkeypatch):
    monkeypatch.setenv("TOCSIN_PUBLIC_URL", "https://tocsin.example/bell/")
    assert tocsin("user", "add", "mia", "--role", "editor").out.startswith(
        "https://tocsin.example/bell/setup/"
    )
    assert user_named("mia").role == "editor"


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
def test_the_password_is_one_line_of_standard_input(tocsin, typed, password):
    assert tocsin("user", "add", "mia", "--password-stdin", typed=typed) == Ran(0, "", "")
    assert QUICK.verify(user_named("mia").password, password)


@pytest.mark.parametrize("command", [("user", "add", "mia"), ("user", "password", "vera")])
@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (b"", "at least 8"),
        (b"\nfour small bells", "at least 8"),
        (b"seven77\n", "at least 8"),
        (b"x" * 1001, "at most 1000"),
        (b"x" * 100_000, "at most 1000"),
        ("grüne Glocken\n".encode("latin-1"), "not UTF-8"),
    ],
)
def test_an_invalid_password_changes_nothing(tocsin, command, typed, message):
    assert is_refusal(tocsin(*command, "--password-stdin", typed=typed), 1, message)
    assert user_named("mia") is None
    assert QUICK.verify(user_named("vera").password, PASSWORD)


def test_a_missing_standard_input_is_an_empty_password(tocsin, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert cli.main(["user", "add", "mia", "--password-stdin"]) == 1
    assert "at least 8" in capsys.readouterr().err


def test_a_terminal_prompts_for_the_password_twice_without_showing_it(tocsin, monkeypatch):
    asked = []
    answers = ["four small bells", "four small balls", "four small bells", "four small bells"]
    monkeypatch.setattr(
        click.termui, "hidden_prompt_func", lambda prompt: asked.append(prompt) or answers.pop(0)
    )
    ran = tocsin("user", "add", "mia", "--password-stdin", terminal=True)
    assert (ran.code, ran.out, len(asked)) == (0, "", 4)
    assert QUICK.verify(user_named("mia").password, "four small bells")


@pytest.mark.parametrize(
    "name", ["", "  ", "a:b", "x" * 65, "two\nlines", "\x1b[31mred", "\udcff", "ada", "ADA"]
)
def test_an_invalid_name_is_refused(tocsin, name):
    ran = tocsin("user", "add", "--", name)
    assert is_refusal(
        ran,
        1,
        "A user named “" if name.lower() == "ada" else "A name has 1 to 64 visible characters",
    )


def test_a_new_password_ends_the_sessions_and_links_of_the_user(tocsin):
    older = tocsin("user", "password", "vera")
    assert invited_user(older) == "vera"
    assert tocsin(
        "user", "password", "VERA", "--password-stdin", typed=b"four small bells\n"
    ) == Ran(0, "", "")
    assert QUICK.verify(user_named("vera").password, "four small bells")
    assert invited_user(older) is None
    with db.connection_context():
        assert [login.user.name for login in Login.select()] == ["ada"]


def test_a_link_to_choose_a_password_keeps_the_old_one(tocsin):
    assert invited_user(tocsin("user", "password", "vera")) == "vera"
    assert QUICK.verify(user_named("vera").password, PASSWORD)
    with db.connection_context():
        assert Login.select().count() == 2


def test_user_role_changes_the_role(tocsin):
    assert tocsin("user", "role", "vera", "editor") == Ran(0, "", "")
    assert tocsin("user", "role", "ada", "viewer") == Ran(0, "", "")
    assert (user_named("vera").role, user_named("ada").role) == ("editor", "viewer")


def test_user_remove_deletes_the_user_and_the_sessions(tocsin):
    assert tocsin("user", "remove", "vera") == Ran(0, "", "")
    assert user_named("vera") is None
    with db.connection_context():
        assert [login.user.name for login in Login.select()] == ["ada"]


@pytest.mark.parametrize("arguments", [("remove", "vera"), ("role", "vera", "viewer")])
def test_the_tokens_that_end_with_a_user_or_role_are_named(tocsin, arguments):
    tocsin("user", "role", "vera", "editor")
    with db.connection_context():
        api_tokens.create_token("of vera", ["ingest"], None, "vera", 1)
    assert tocsin("token", "add", "of the command", "--scope", "ingest").code == 0
    ran = tocsin("user", *arguments)
    assert (ran.code, ran.err) == (0, "These tokens of the user are revoked: of vera.\n")
    assert "of the command" in tocsin("token", "list").out


@pytest.mark.parametrize("arguments", [("remove", "ada"), ("role", "ada", "viewer")])
def test_the_last_editor_cannot_be_removed(tocsin, arguments):
    assert is_refusal(tocsin("user", *arguments), 1, "This is the last editor")
    assert user_named("ada").role == "editor"


def test_user_list_shows_role_last_visit_and_password(tocsin):
    tocsin("user", "add", "mia")
    with db.connection_context():
        User.update(seen_at=now_ms() - 3 * DAY).where(User.name == "ada").execute()
    assert [line.split() for line in tocsin("user", "list").out.splitlines()] == [
        ["ada", "editor", "last", "here", "3", "days", "ago", "password"],
        ["mia", "viewer", "last", "here", "never", "no", "password"],
        ["vera", "viewer", "last", "here", "never", "password"],
    ]


# --- tokens ---------------------------------------------------------------------------------------


def test_token_add_prints_the_token_only_and_stores_its_hash(tocsin):
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
    ("arguments", "message"),
    [
        (["", "--scope", "ingest"], "A token's name has 1 to 64"),
        (["\udcff", "--scope", "ingest"], "A token's name has 1 to 64"),
        (["pager", "--scope", "ingest"], "A token named “pager” already exists"),
        (["grafana", "--scope", "ingest", "--days", "0"], "1 to 3650 days"),
        (["grafana", "--scope", "ingest", "--days", "-1"], "1 to 3650 days"),
        (["grafana", "--scope", "ingest", "--days", "99999999999999999999"], "1 to 3650 days"),
    ],
)
def test_an_invalid_token_is_refused(tocsin, arguments, message):
    tocsin("token", "add", "pager", "--scope", "ingest")
    assert is_refusal(tocsin("token", "add", *arguments), 1, message)
    with db.connection_context():
        assert Token.select().count() == 1


def test_token_list_shows_scopes_last_use_and_expiry(tocsin):
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


def test_token_revoke_deletes_the_token(tocsin):
    tocsin("token", "add", "pager", "--scope", "ingest")
    assert tocsin("token", "revoke", "pager") == Ran(0, "", "")
    with db.connection_context():
        assert not Token.select().count()


# --- keys -----------------------------------------------------------------------------------------


def test_a_rotation_encrypts_every_channel_with_a_new_key(tocsin, config, channels):
    ran = tocsin("keys", "rotate")
    assert (ran.code, ran.err) == (0, "")
    assert f"encrypted with the first key of {config.keys_file}: 3." in ran.out
    assert "The old keys were removed" in ran.out
    assert config.keys_file.read_text().split() != list(config.encryption_keys)
    assert tocsin("keys", "rotate").code == 0


def test_a_rotation_names_the_channels_it_cannot_decrypt(tocsin, config, channels):
    with db.connection_context():
        Channel.update(sealed="damaged").where(Channel.name == "Team b").execute()
    ran = tocsin("keys", "rotate")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert ": 2." in ran.out
    assert (
        "could not be decrypted: Team b. Keep the old keys, "
        "enter the URL and secrets of these channels again" in ran.err
    )
    assert set(config.encryption_keys) < set(config.keys_file.read_text().split())


def test_a_rotation_with_keys_in_the_variable_says_which_keys_to_remove(
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
        processes, "run_server", lambda *_: pytest.fail("started with the wrong keys")
    )
    monkeypatch.setenv("TOCSIN_ENCRYPTION_KEYS", OTHER_KEY)
    assert issubclass(rotation.WrongKeys, cli.ConfigError)
    assert is_refusal(tocsin(*arguments), 2, "TOCSIN_ENCRYPTION_KEYS: these keys do not decrypt")


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_an_unknown_user_or_token_is_reported_in_one_line(tocsin, arguments, message):
    assert is_refusal(tocsin(*arguments), 1, message)


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
def test_wrong_usage_prints_the_usage_and_creates_nothing(tocsin, monkeypatch, tmp_path, arguments):
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(tmp_path / "elsewhere"))
    ran = tocsin(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Usage: tocsin" in ran.err
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--version",), f"tocsin {VERSION}"),
        (("--help",), "serve     Serve the pages"),
        (("user", "password", "--help"), "--password-stdin"),
        (("token", "add", "--help"), "channels:write"),
    ],
)
def test_help_needs_no_installation(tocsin, monkeypatch, arguments, message):
    monkeypatch.setenv("TOCSIN_BIND", "nonsense")
    ran = tocsin(*arguments)
    assert (ran.code, ran.err) == (0, "")
    assert message in ran.out


def test_the_docs_page_lists_every_subcommand_and_every_scope():
    page = (ROOT / "docs" / "command.md").read_text()
    calls = [
        f"{group} {name}"
        for group, command in cli.tocsin.commands.items()
        for name in getattr(command, "commands", [""])
    ]
    assert [call for call in calls if f"`tocsin {call}".rstrip() not in page] == []
    assert [
        scope
        for scope, description in api_tokens.SCOPES.items()
        if f"| `{scope}` | {description.replace('/metrics', '`/metrics`')} |" not in page
    ] == []


def test_an_unusable_installation_is_reported_in_one_line(tocsin, config, monkeypatch):
    monkeypatch.setenv("TOCSIN_BIND", "nonsense")
    assert is_refusal(tocsin("user", "list"), 2, "TOCSIN_BIND: 'nonsense'")
    monkeypatch.delenv("TOCSIN_BIND")
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(config.keys_file))
    assert is_refusal(tocsin("user", "list"), 2, "TOCSIN_DATA_DIR: the folder")


@only_sqlite
def test_a_damaged_database_is_reported_in_one_line(tocsin, config):
    config.database.write_bytes(b"this is no database, whatever its name says" * 200)
    assert is_refusal(tocsin("user", "list"), 2, "is damaged")


def test_a_server_that_cannot_be_reached_is_reported_in_one_line(tocsin, monkeypatch):
    monkeypatch.setenv("TOCSIN_DATABASE_URL", "postgresql://u:s3cret@127.0.0.1:1/tocsin")
    ran = tocsin("user", "list")
    assert is_refusal(ran, 2, "The database tocsin at 127.0.0.1:1 cannot be reached")
    assert "s3cret" not in ran.err


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        pytest.param(
            OperationalError("database is locked"), "The database is busy", marks=only_sqlite
        ),
        (OSError(13, "Permission denied", "password-1.lock"), "Permission denied"),
    ],
)
def test_a_failure_of_the_system_is_reported_in_one_line(tocsin, monkeypatch, failure, message):
    def fail():
        raise failure

    monkeypatch.setattr(User, "listed", fail)
    assert is_refusal(tocsin("user", "list"), 2, message)


def test_ctrl_c_prints_nothing(tocsin, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(User, "listed", interrupt)
    ran = tocsin("user", "list")
    assert (ran.code, ran.out, ran.err.strip()) == (130, "", "")


# --- processes ------------------------------------------------------------------------------------


def test_no_file_in_the_data_folder_holds_a_password_a_token_or_a_link(tocsin, config):
    tocsin("user", "add", "mia", "--password-stdin", typed=b"four small bells\n")
    link = tocsin("user", "password", "vera").out.strip().rpartition("/setup/")[2]
    token = tocsin("token", "add", "pager", "--scope", "ingest").out.strip()
    stored = b"".join(path.read_bytes() for path in config.data_dir.iterdir())
    stored += b"".join(part for _, part in contents_of(config.database))
    assert b"pager" in stored
    for secret in ("four small bells", link, token, token.removeprefix(api_tokens.PREFIX)):
        assert secret
        assert secret.encode() not in stored


def test_the_command_works_as_a_process(tocsin, config):
    command = [sys.executable, str(ROOT / "cli.py"), "user", "add", "mia", "--password-stdin"]
    done = subprocess.run(command, input=b"four small bells\n", capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    tocsin("user", "list")
    assert user_named("mia").password.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    with pytest.raises(VerifyMismatchError):
        QUICK.verify(user_named("mia").password, "four small balls")


def test_a_running_server_sees_added_and_removed_users_at_once(tocsin, live, monkeypatch):
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(live.folder / "data"))
    if ON_POSTGRESQL:
        monkeypatch.setenv("TOCSIN_DATABASE_URL", live.database.server.url)
    monkeypatch.setenv("TOCSIN_BIND", live.url.removeprefix("http://"))
    link = tocsin("user", "add", "mia").out.strip()
    assert requests.get(link, timeout=5).status_code == 200
    assert tocsin("user", "remove", "mia").code == 0
    assert requests.get(link, timeout=5).status_code == 404
