"""Files of channels: export, import, and what is refused."""

import json
import re

import pytest
from channels import create
from hypothesis import given
from hypothesis import strategies as st

from models import AuditEntry, Channel, db
from web.transfer.export import FileFormat, Secrets, _written
from web.transfer.fallbacks import order_by_fallback, problems_of_fallbacks
from web.transfer.reading import MAX_DEPTH, FileError, read_file
from web.transfer.secret_texts import literal, parse_secret

SLACK = "https://hooks.slack.com/services/T0/B0/abcdefgh"
CHANNELS = """\
tocsin: 1
channels:
  - name: Team db
    kind: slack
    url: https://hooks.slack.com/services/T0/B0/abcdefgh
    matchers: severity="critical"
    group_by: alertname
    group_wait: 0
    fallback: Backup
  - name: Backup
    url: https://hooks.example.com/backup
    method: PUT
    auth: bearer
    auth_secret: keep it secret
    headers:
      - name: X-Team
        value: db
      - {name: X-Key, value: "text:keep", secret: true}
    payload: |
      {
        "limit": 1.10
      }
    timeout: 5
    verify_tls: false
    retries: 10s, 2m
    repeat: 60
    paused: drop
  - name: Chat
    kind: telegram
    url: https://api.telegram.org
    options: {chat_id: "-100", bot_token: "123456789:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
"""


@pytest.fixture
def imported(tocsin, tmp_path):
    """Return a function that imports a text as a file."""

    def imported(text, *options):
        file = tmp_path / "channels.yml"
        file.write_text(text)
        return tocsin("channels", "import", str(file), "--yes", *options)

    return imported


def stored():
    """Return the channels by name."""
    with db.connection_context():
        return {channel.name: channel for channel in Channel.listed()}


def one(**members):
    """Return the text of a file with one channel."""
    channel = {"name": "A", "url": "https://hooks.example.com/a", **members}
    return json.dumps({"tocsin": 1, "channels": [channel]}, indent=1)


# --- reading ----------------------------------------------------------------------------------

TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(min_size=1), below),
    max_leaves=10,
)


@given(st.dictionaries(st.text(min_size=1), TREES), st.sampled_from(FileFormat))
def test_what_is_written_is_read_again(tree, form):
    tree = json.loads(json.dumps(tree).encode("utf-8", "replace").decode())
    try:
        json.dumps(tree, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return  # half of a surrogate pair is in no file
    tree.pop("<<", None)
    assert read_file(_written(tree, form)) == (tree or {})


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\na: 2", 2, "there are two members “a”."),
        ('{"a": 1,\n "a": 2}', 2, "there are two members “a”."),
        ("a: !python/object x", 1, "the tag !python/object is not supported."),
        ("a: 1\n---\nb: 1", 2, "a second document begins here; write one."),
        ("a: *b", 1, "there is no anchor &b before this."),
        ("a: [1", 2, "did not find expected ',' or ']'."),
        ('{"a": NaN}', 1, "this is not JSON: NaN is no number of JSON."),
        ('{"a": 1,\n b}', 2, "this is not JSON: Expecting property name"),
        ("[" * 100_000, 1, f"this is nested more than {MAX_DEPTH} levels deep."),
        ("a: " + "[" * 100_000, 1, ""),
        ("- " * 100 + "a", 1, f"this is nested more than {MAX_DEPTH} levels deep."),
        ("? [a]\n: b", 1, "the name of a member must be a text."),
        ("a: &a 1\nb: {<<: *a}", 2, "<< must name an object."),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_line(text, line, message):
    with pytest.raises(FileError) as refusal:
        read_file(text)
    assert str(refusal.value).startswith(f"line {line}: {message}")


def test_aliases_cannot_multiply_without_bound():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join(['*' + before] * 10)}]")
    with pytest.raises(FileError, match="more than 300,000 values"):
        read_file("\n".join(lines))


def test_only_true_and_false_are_booleans():
    assert read_file("a: on\nb: no\nc: 2020-01-01\nd: 0x1f\ne: true\nf: ~") == {
        "a": "on",
        "b": "no",
        "c": "2020-01-01",
        "d": "0x1f",
        "e": True,
        "f": None,
    }


# --- secrets ----------------------------------------------------------------------------------


@given(st.text(min_size=1))
def test_the_text_of_a_secret_stands_for_it(secret):
    assert parse_secret(literal(secret)) == ("", secret)


@pytest.mark.parametrize(
    "secret", ["keep", "env:HOME", "file:/etc/passwd", "text:a", "keep:12345678"]
)
def test_a_secret_that_looks_like_a_reference_is_written_as_a_text(secret):
    assert literal(secret) == f"text:{secret}"


# --- the round trip ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", list(FileFormat))
def test_export_empty_instance_import_export_is_the_same_to_the_byte(
    tocsin, imported, tmp_path, monkeypatch, form
):
    assert imported(CHANNELS).code == 0
    arguments = ("channels", "export", "--secrets", "clear", "--format", form.value)
    first = tocsin(*arguments).out
    file = tmp_path / f"all.{form}"
    file.write_text(first)
    with db.connection_context():
        Channel.delete().execute()
    result = tocsin("channels", "import", str(file), "--yes")
    assert result.code == 0, result.err
    assert tocsin(*arguments).out == first
    assert '"limit": 1.10' in first or "limit" in first


def test_the_second_import_changes_nothing(imported):
    assert "3 created" in imported(CHANNELS).err
    assert "3 unchanged." in imported(CHANNELS).out
    assert {channel.version for channel in stored().values()} == {1}


def test_an_export_with_fingerprints_keeps_every_secret(tocsin, imported, tmp_path):
    imported(CHANNELS)
    sealed = {name: channel.sealed for name, channel in stored().items()}
    text = tocsin("channels", "export").out
    assert "abcdefgh" not in text.replace("…efgh", "")
    assert "keep it secret" not in text
    assert len(re.findall("keep:[0-9a-f]{8}", text)) == 6
    result = imported(text.replace("repeat: 60", "repeat: 90"))
    assert result.code == 0, result.err
    assert "Repeat interval (minutes): 60 → 90" in result.out
    assert "2 unchanged" in result.out
    assert stored()["Chat"].sealed == sealed["Chat"]
    assert stored()["Backup"].repeat_minutes == 90


def test_a_fingerprint_of_another_secret_is_refused(imported, tocsin):
    imported(CHANNELS)
    text = tocsin("channels", "export", "Chat").out
    imported(CHANNELS.replace("AAAAA", "BBBBB"))
    result = imported(text)
    assert result.code == 1
    assert "options-bot_token: The stored secret is another one now." in result.err


def test_an_export_with_variables_names_all_of_them(tocsin, imported, monkeypatch):
    imported(CHANNELS)
    clear = tocsin("channels", "export", "--secrets", "clear").out
    result = tocsin("channels", "export", "--secrets", "env")
    names = re.findall(r"env:(\w+)", result.out)
    assert "CHANNEL_BACKUP_AUTH_SECRET" in names
    assert result.err == f"Set these variables for the import: {', '.join(names)}\n"
    secrets = {
        "CHANNEL_BACKUP_URL": "https://hooks.example.com/backup",
        "CHANNEL_BACKUP_AUTH_SECRET": "keep it secret",
        "CHANNEL_BACKUP_HEADER_X_KEY": "keep",
        "CHANNEL_TEAM_DB_URL": SLACK,
        "CHANNEL_CHAT_URL": "https://api.telegram.org",
        "CHANNEL_CHAT_BOT_TOKEN": "123456789:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    }
    assert set(names) == set(secrets)
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    with db.connection_context():
        Channel.delete().execute()
    assert imported(result.out).code == 0
    assert tocsin("channels", "export", "--secrets", "clear").out == clear


def test_a_file_with_secrets_is_readable_by_its_owner_alone(tocsin, imported, tmp_path):
    imported(CHANNELS)
    file = tmp_path / "out.yml"
    file.touch(0o644)
    assert tocsin("channels", "export", "--secrets", "clear", "--output", str(file)).code == 0
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_secret_can_be_in_a_file(imported, tocsin, tmp_path):
    (tmp_path / "url").write_text("https://hooks.example.com/t0ken\n")
    result = imported(one(url=f"file:{tmp_path / 'url'}"))
    assert result.code == 0, result.err
    assert (
        "https://hooks.example.com/t0ken" in tocsin("channels", "export", "--secrets", "clear").out
    )


# --- what an import does ----------------------------------------------------------------------


def test_an_import_names_channels_that_are_created_together_as_fallbacks(imported):
    imported(CHANNELS)
    channels = stored()
    assert channels["Team db"].fallback_id == channels["Backup"].id


def test_a_channel_can_be_created_paused(imported):
    imported(CHANNELS)
    backup = stored()["Backup"]
    assert (backup.state, backup.drops) == ("paused", 1)


def test_a_dry_run_shows_the_changes_and_changes_nothing(imported):
    result = imported(CHANNELS, "--dry-run")
    assert result.code == 0
    assert "+ Team db\n    Kind: Slack\n    URL: https://hooks.slack.com/…efgh\n" in result.out
    assert "3 to create." in result.out
    assert not stored()


def test_an_entry_can_delete_a_channel(imported):
    imported(CHANNELS)
    text = "tocsin: 1\nchannels: [{name: Chat, delete: true}, {name: Gone, delete: true}]"
    assert "1 to delete, 1 unchanged" in imported(text).out
    assert set(stored()) == {"Team db", "Backup"}


def test_a_secret_that_the_file_does_not_name_is_removed(imported, tocsin):
    imported(one(signing="standard", signing_secret="whsec_" + "a" * 32))
    imported(one())
    assert "signing" not in tocsin("channels", "export").out


def test_an_import_is_in_the_audit_log(imported):
    imported(CHANNELS)
    with db.connection_context():
        entries = [(entry.made_by, entry.action, entry.detail) for entry in AuditEntry.select()]
    made_by, action, detail = entries[-1]
    assert (made_by, action) == ("the command", "channels imported")
    assert detail.endswith("channels.yml: 3 created")


@pytest.mark.parametrize(
    ("members", "line", "message"),
    [
        ({"timeout": 99}, 7, "timeout: Enter a whole number of seconds"),
        ({"url": "ftp://x"}, 6, "url: Tocsin sends to http:// and https:// URLs only."),
        ({"unknown": 1}, 7, "unknown: There is no such member."),
        ({"payload": {"a": 1}}, 7, "payload: Write the JSON as text"),
        ({"paused": "yes"}, 7, "paused: This must be hold or drop"),
        ({"fallback": "Nobody"}, 4, "fallback: There is no channel “Nobody”."),
        ({"fallback": "A"}, 4, "fallback: This makes a circle"),
        ({"fallback": 3}, 7, "fallback: This must be the name of a channel."),
        ({"url": "keep"}, 6, "url: There is no stored secret to keep"),
        ({"url": "env:NOT_SET"}, 6, "url: The environment variable NOT_SET is not set."),
        ({"url": "file:/nowhere"}, 6, "url: The file /nowhere cannot be read"),
        ({"headers": 3}, 7, "headers: This must be a list."),
        ({"headers": [{"name": "X"}, {"name": "a b"}]}, 12, "headers-1-name: "),
        ({"kind": "telegram", "options": {"chat_id": 3}}, 9, "options-chat_id: This must be"),
        ({"delete": True}, 6, "url: An entry that deletes a channel has a name"),
        ({"name": " "}, 4, "this entry is no channel with a name."),
    ],
)
def test_a_bad_entry_is_refused_with_its_line_and_nothing_is_changed(
    imported, members, line, message
):
    text = one(**members)
    result = imported(text)
    assert result.code == 1
    assert f"channels.yml, line {line}: " in result.err
    assert message in result.err
    assert not stored()


def test_a_bad_entry_among_many_changes_nothing(imported):
    lines = ["tocsin: 1", "channels:"]
    for number in range(60):
        lines += [f"- name: C{number}", f"  url: https://hooks.example.com/{number}"]
    lines.insert(2 + 2 * 50, "  timeout: 99")
    result = imported("\n".join(lines))
    assert "line 103: “C49”: timeout: " in result.err
    assert not stored()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: this is no file of channels"),
        ("- a", "line 1: this is no file of channels"),
        ("channels: []", "line 1: “tocsin” is the format of the file"),
        ("tocsin: 2\nchannels: []", "line 1: “tocsin” is the format of the file"),
        ("tocsin: 1\nchannels: {}\nx: 1", "line 3: there is no member “x” here"),
        ("tocsin: 1\nchannels: {a: 1}", "line 2: “channels” must be a list"),
        ("tocsin: 1\nchannels: [3]", "line 2: each entry of “channels” must have members"),
    ],
)
def test_a_file_of_something_else_is_refused(imported, text, message):
    result = imported(text)
    assert result.code == 1
    assert message in result.err


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tocsin):
    result = tocsin("channels", "import", "-", typed=b"tocsin: 1\n# \xff")
    assert (result.code, result.err) == (
        1,
        "tocsin: Nothing was imported: line 2: the file is not UTF-8.\n",
    )


def test_a_channel_cannot_be_twice_in_a_file(imported):
    text = CHANNELS + "  - {name: Chat, url: https://hooks.example.com/x}\n"
    assert "“Chat” is in the file twice; it is on line 28 as well." in imported(text).err


def test_an_export_of_an_unknown_channel_is_refused(tocsin):
    result = tocsin("channels", "export", "Nobody")
    assert (result.code, result.out) == (1, "")
    assert "There is no channel “Nobody”." in result.err


def test_a_damaged_channel_is_named_and_left_out_of_an_export(tocsin, imported):
    imported(CHANNELS)
    with db.connection_context():
        Channel.update(sealed="damaged").where(Channel.name == "Chat").execute()
    result = tocsin("channels", "export")
    assert result.code == 1
    assert "name: Chat" not in result.out
    assert "Chat: Its URL and secrets cannot be decrypted" in result.err


# --- fallbacks --------------------------------------------------------------------------------

NAMES = st.sampled_from("abcde")


@given(st.dictionaries(NAMES, NAMES | st.just("")))
def test_a_fallback_comes_before_the_channels_that_need_it(fallbacks):
    problems = dict(problems_of_fallbacks(fallbacks, fallbacks))
    order = order_by_fallback({name: name for name in fallbacks}, fallbacks.get)
    assert sorted(order) == sorted(fallbacks)
    for name, fallback in fallbacks.items():
        if fallback and not problems:
            assert order.index(fallback) < order.index(name)
        if fallback and fallback not in fallbacks:
            assert name in problems


# --- the pages --------------------------------------------------------------------------------


def test_a_file_is_imported_in_the_page_after_its_changes_were_shown(client):
    create(client, name="Chat")
    page = client.post("/channels/import", {"text": CHANNELS})
    assert page.status_code == 200
    assert "2 to create, 1 to change" in page.text
    assert "123456789:" not in page.text  # no secret is shown
    token = re.search('name="plan" value="([^"]*)"', page.text)[1]
    assert len(list(Channel.listed())) == 1
    response = client.post("/channels/import/apply", {"plan": token})
    assert response.status_code == 303
    assert len(list(Channel.listed())) == 3
    assert "Imported: 2 created, 1 changed." in client.get("/channels").text


def test_an_import_whose_channels_have_changed_shows_the_changes_again(client):
    page = client.post("/channels/import", {"text": CHANNELS})
    token = re.search('name="plan" value="([^"]*)"', page.text)[1]
    create(client, name="Chat")
    response = client.post("/channels/import/apply", {"plan": token})
    assert response.status_code == 409
    assert "Another user has changed these channels." in response.text
    assert "1 to change" in response.text
    assert len(list(Channel.listed())) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Choose a file"),
        ("tocsin: 1", "this is no file of channels"),
        (one(timeout=99), "line 7: “A”: timeout: Enter a whole number of seconds"),
        (one(url="env:HOME"), "env: works in the command and in TOCSIN_PROVISION, but not here."),
        (one(url="file:/etc/passwd"), "file: works in the command"),
    ],
)
def test_the_page_says_why_a_file_is_refused(client, text, message):
    page = client.post("/channels/import", {"text": text})
    assert page.status_code == 422
    assert message in page.text
    assert not list(Channel.listed())


def test_the_page_exports_no_secret_in_clear(client):
    create(client)
    for secrets in ("fingerprints", "env"):
        response = client.get(f"/channels/export/file?secrets={secrets}&format=json")
        assert response.status_code == 200
        assert "t0ken" not in response.text
        assert "attachment" in response.headers["Content-Disposition"]
    response = client.get("/channels/export/file?secrets=clear")
    assert response.status_code == 303
    assert "tocsin channels export --secrets clear" in client.get("/channels/export").text


@pytest.mark.parametrize("path", ["export", "export/file", "import"])
def test_a_viewer_neither_exports_nor_imports(viewer, path):
    assert viewer.get(f"/channels/{path}").status_code == 403


def test_a_viewer_cannot_import(viewer):
    assert viewer.post("/channels/import", {"text": CHANNELS}).status_code == 403


@pytest.mark.parametrize("secrets", list(Secrets))
def test_the_command_knows_every_way_to_write_secrets(tocsin, secrets):
    assert tocsin("channels", "export", "--secrets", secrets.value).code == 0
