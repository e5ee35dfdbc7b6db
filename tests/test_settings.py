"""Settings in the columns of a row: the round trip, encryption, and damaged rows."""

import base64
import json
from dataclasses import replace

import pytest
from cryptography.fernet import Fernet
from hypothesis import example, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from delivery.secrets.encryption import DecryptionError, Keyring
from delivery.settings import (
    AUTHS,
    METHODS,
    SECRET_FIELDS,
    SIGNINGS,
    Header,
    Settings,
    read_settings,
    write_settings,
)
from models import Channel

OLD, NEW = (base64.urlsafe_b64encode(letter * 32).decode() for letter in (b"o", b"n"))
RING = Keyring((NEW,))
KEY = "the key of the fingerprints"

FULL = Settings(
    kind="alertmanager",
    url="https://hooks.example/services/t0ken-of-the-path",
    method="PUT",
    headers=(Header("X-Plain", "readable"), Header("X-Api-Key", "s3cret-of-the-row", secret=True)),
    auth="basic",
    auth_username="ops",
    auth_secret="s3cret-of-the-sign-in",
    signing="standard",
    signing_secret="s3cret-of-the-signature",
    signing_secret_old="s3cret-of-the-rotation",
    signing_timestamp_header="X-When",
    payload='{"a": 1.10}',
    timeout=7,
    verify_tls=False,
    ca_pem="-----BEGIN CERTIFICATE-----",
)
SECRETS = [
    "t0ken-of-the-path",
    "s3cret-of-the-row",
    "s3cret-of-the-sign-in",
    "s3cret-of-the-signature",
    "s3cret-of-the-rotation",
]
UNREADABLE = Settings(kind="webhook")


def row_of(settings=FULL, channel_id=7, keyring=RING):
    """Return an unsaved row with these settings."""
    row = Channel(id=channel_id, name="Team db")
    write_settings(row, settings, keyring, KEY)
    return row


def encrypted(content, purpose="channel 7"):
    """Return a token of the right key with any content."""
    if isinstance(content, bytes):
        return Fernet(NEW).encrypt(content).decode()
    return RING.encrypt(purpose, content)


# --- round trip -----------------------------------------------------------------------------------


def test_written_settings_are_read_back():
    assert read_settings(row_of(), RING) == (FULL, "")


def test_default_settings_are_read_back():
    assert read_settings(row_of(Settings()), RING) == (Settings(), "")


_text = st.text(max_size=30)
_names = st.text("abcdefghijklmnopqrstuvwxyzABC-_~", min_size=1, max_size=8)
_settings = st.builds(
    Settings,
    kind=_text,
    url=_text,
    method=st.sampled_from(METHODS),
    headers=st.lists(
        st.builds(Header, _names, _text, st.booleans()),
        max_size=4,
        unique_by=lambda row: row.name.lower(),
    ).map(tuple),
    auth=st.sampled_from(AUTHS),
    auth_username=_text,
    auth_secret=_text,
    signing=st.sampled_from(SIGNINGS),
    signing_secret=_text,
    signing_secret_old=_text,
    signing_timestamp_header=_text,
    payload=_text,
    timeout=st.integers(1, 30),
    verify_tls=st.booleans(),
    ca_pem=_text,
)


@budget(deadline=None)
@given(_settings)
def test_any_settings_are_read_back_unchanged(settings):
    assert read_settings(row_of(settings), RING) == (settings, "")


def test_kind_origin_and_hash_are_columns():
    row = row_of()
    assert (row.kind, row.origin) == ("alertmanager", "https://hooks.example")
    assert row.config_hash == FULL.fingerprint(KEY)


@pytest.mark.parametrize("url", ["", "nonsense", "http://["])
def test_an_invalid_url_has_no_origin_and_no_target(url):
    assert row_of(replace(FULL, url=url)).origin == ""
    assert replace(FULL, url=url).target is None


# --- secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", SECRETS)
def test_no_column_contains_a_secret_as_plain_text(secret):
    row = row_of()
    token = base64.urlsafe_b64decode(row.sealed)
    for column in (row.settings, row.sealed, row.origin, row.config_hash, row.kind):
        assert secret not in column
    assert secret.encode() not in token
    assert base64.b64encode(secret.encode()).decode().rstrip("=") not in row.sealed


def test_public_values_are_readable_in_the_settings_column():
    public = json.loads(row_of().settings)
    assert public["headers"][0] == {"name": "X-Plain", "value": "readable", "secret": False}
    assert public["headers"][1] == {"name": "X-Api-Key", "value": "", "secret": True}
    assert public["payload"] == '{"a": 1.10}'


def test_the_repr_of_settings_contains_no_secret():
    shown = repr(replace(FULL, url="", headers=()))
    assert not [secret for secret in SECRETS if secret in shown]


def test_the_same_settings_are_encrypted_differently_each_time():
    assert row_of().sealed != row_of().sealed


# --- damaged rows ---------------------------------------------------------------------------------


def stored(settings_column, sealed):
    """Return a row as the database returns it."""
    return Channel(id=7, name="Team db", kind="webhook", settings=settings_column, sealed=sealed)


@pytest.mark.parametrize(
    "column",
    [
        *(
            "",
            " ",
            "{",
            "null",
            "[]",
            '"text"',
            "7",
            "NaN",
            "[" * 100_000,
            "9" * 5000,
            '{"timeout": ' + "9" * 5000 + "}",
        ),
        *("\x00", "\ud800", "<html>", "\ufeff{}", '{"a": 1', "True"),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_garbage_in_the_settings_column_is_read_as_defaults_with_a_problem(column):
    settings, problem = read_settings(stored(column, row_of().sealed), RING)
    assert problem == "Its stored settings are damaged."
    assert settings == replace(
        UNREADABLE, url=FULL.url, **{name: getattr(FULL, name) for name in SECRET_FIELDS}
    )


@pytest.mark.parametrize(
    "token",
    [
        *("", " ", "x", "gAAAAA", "é", "\ud800", "\x00", "null", "{}", "A" * 100_000),
        Keyring((OLD,)).encrypt("channel 7", {"url": "https://hooks.example/"}),
        row_of().sealed[:-1],
        row_of().sealed[:50] + "A" + row_of().sealed[51:],
        *(encrypted(b""), encrypted(b"not json"), encrypted(b"\xff\xfe")),
    ],
    ids=lambda text: ascii(
        text[:6]
    ),  # the seventh letter of a token depends on the time, and the ids must be stable
)
def test_garbage_in_the_encrypted_column_is_read_as_defaults_with_a_problem(token):
    settings, problem = read_settings(stored(row_of().settings, token), RING)
    assert "cannot be decrypted" in problem
    assert (
        settings.url
        == settings.auth_secret
        == settings.signing_secret
        == settings.signing_secret_old
        == ""
    )
    assert settings.headers == (Header("X-Plain", "readable"), Header("X-Api-Key", "", secret=True))
    assert (settings.timeout, settings.payload) == (7, '{"a": 1.10}')


def test_a_row_with_garbage_in_both_columns_can_be_read():
    settings, problem = read_settings(stored("{", "x"), RING)
    assert settings == UNREADABLE
    assert problem


def test_a_token_for_another_id_is_refused():
    row = row_of(channel_id=8)
    row.id = 7
    settings, problem = read_settings(row, RING)
    assert "another channel" in problem
    assert settings.url == settings.auth_secret == ""
    assert not [secret for secret in SECRETS if secret in problem]


@pytest.mark.parametrize(
    "content",
    [
        *(
            b"null",
            b"[]",
            b'"text"',
            b"7",
            b"{}",
            b'{"for": "channel 7"}',
            b"[" * 100_000,
            b'{"for": "channel 7", "values": null}',
        ),
        *(
            b'{"for": "channel 7", "values": []}',
            b'{"for": "channel 7", "values": "x"}',
            b'{"for": ["channel 7"], "values": {}}',
        ),
    ],
    ids=lambda content: content[:48].decode(),
)
def test_a_valid_token_with_unexpected_content_is_a_problem(content):
    settings, problem = read_settings(stored(row_of().settings, encrypted(content)), RING)
    assert problem
    assert settings.url == ""


@pytest.mark.parametrize(
    ("public", "hidden", "expected"),
    [
        ({}, {}, {}),
        ({"timeout": 0}, {}, {"timeout": 1}),
        ({"timeout": -(10**30)}, {}, {"timeout": 1}),
        ({"timeout": 31}, {}, {"timeout": 30}),
        ({"timeout": 10**30}, {}, {"timeout": 30}),
        ({"timeout": "5"}, {}, {}),
        ({"timeout": True}, {}, {}),
        ({"timeout": 5.5}, {}, {}),
        ({"timeout": float("nan")}, {}, {}),
        ({"method": "DELETE"}, {}, {}),
        ({"method": "post"}, {}, {}),
        ({"method": ["POST"]}, {}, {}),
        ({"auth": "digest"}, {}, {}),
        ({"signing": None}, {}, {}),
        ({"verify_tls": 0}, {}, {}),
        ({"verify_tls": None}, {}, {}),
        ({"verify_tls": False}, {}, {"verify_tls": False}),
        ({"payload": {"a": 1}}, {}, {}),
        ({"kind": "alertmanager"}, {}, {}),
        ({"unknown": 1, "target": 2, "origin": 3}, {"unknown": 1}, {}),
        ({}, {"url": 7, "auth_secret": ["x"], "signing_secret": None}, {}),
        ({"headers": {"name": "X"}}, {}, {}),
        ({"headers": ["X", None, 7, [], {}]}, {}, {}),
        ({"headers": [{"name": 7, "value": "a"}, {"name": "", "value": "a"}]}, {}, {}),
        ({"headers": [{"name": "X", "value": 7}]}, {}, {"headers": (Header("X", ""),)}),
        (
            {"headers": [{"name": "X", "value": "a", "secret": "yes"}]},
            {},
            {"headers": (Header("X", "a"),)},
        ),
        (
            {"headers": [{"name": "X", "value": "a", "secret": True}]},
            {},
            {"headers": (Header("X", "", secret=True),)},
        ),
        (
            {"headers": [{"name": "X", "secret": True}]},
            {"headers": []},
            {"headers": (Header("X", "", secret=True),)},
        ),
        (
            {"headers": [{"name": "X", "secret": True}]},
            {"headers": {"x": 7}},
            {"headers": (Header("X", "", secret=True),)},
        ),
        (
            {"headers": [{"name": "X", "secret": True}]},
            {"headers": {"x": "a"}},
            {"headers": (Header("X", "a", secret=True),)},
        ),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_read_as_its_default(public, hidden, expected):
    row = stored(json.dumps(public), encrypted(hidden))
    assert read_settings(row, RING).settings == replace(UNREADABLE, **expected)


_garbage = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
_fields = st.sampled_from([*Settings.__dataclass_fields__, "name", "value", "secret"])
_almost = st.dictionaries(
    _fields,
    st.one_of(_garbage, st.lists(st.dictionaries(_fields, _garbage, max_size=3), max_size=3)),
    max_size=6,
)


@budget(deadline=None, max_examples=200)
@given(
    st.one_of(
        st.text(st.characters(exclude_categories=[])),
        _garbage.map(json.dumps),
        _almost.map(json.dumps),
    ),
    _almost,
)
@example("{}", {"headers": {"x": []}})
def test_any_row_can_be_read(column, hidden):
    for token in (encrypted(hidden), column):
        settings, problem = read_settings(stored(column, token), RING)
        assert isinstance(problem, str)
        assert 1 <= settings.timeout <= 30
        assert settings.method in METHODS
        assert settings.fingerprint(KEY)
        assert settings.origin is not None


# --- keys -----------------------------------------------------------------------------------------


def test_all_keys_decrypt_and_the_first_key_encrypts():
    row = row_of(keyring=Keyring((OLD,)))
    both = Keyring((NEW, OLD))
    assert read_settings(row, both) == (FULL, "")
    assert read_settings(row_of(keyring=both), RING) == (FULL, "")


def test_a_token_of_an_unknown_key_is_not_decrypted():
    stored_row = read_settings(row_of(keyring=Keyring((OLD,))), RING)
    assert "another key" in stored_row.problem


def test_a_token_is_decrypted_for_its_own_purpose_only():
    token = RING.encrypt("typed auth_secret", {"value": "s3cret"})
    assert RING.decrypt("typed auth_secret", token) == {"value": "s3cret"}
    for purpose in ("typed signing_secret", "channel 7", "", "typed auth_secret "):
        with pytest.raises(DecryptionError) as refusal:
            RING.decrypt(purpose, token)
        assert "s3cret" not in str(refusal.value)


@budget(deadline=None)
@given(st.text(st.characters(exclude_categories=[])))
def test_no_text_is_accidentally_a_token(text):
    with pytest.raises(DecryptionError):
        RING.decrypt("channel 7", text)


# --- fingerprint ----------------------------------------------------------------------------------


def test_equal_settings_have_equal_fingerprints():
    assert replace(FULL).fingerprint(KEY) == FULL.fingerprint(KEY)
    assert read_settings(row_of(), RING).settings.fingerprint(KEY) == FULL.fingerprint(KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "webhook"},
        {"url": "https://hooks.example/services/t0ken-of-the-patH"},
        {"method": "POST"},
        {"headers": ()},
        {"headers": FULL.headers[::-1]},
        {"headers": (*FULL.headers[:1], Header("X-Api-Key", "another", secret=True))},
        {"headers": (*FULL.headers[:1], Header("X-Api-Key", "s3cret-of-the-row"))},
        {"auth": "bearer"},
        {"auth_username": "dev"},
        {"auth_secret": "another"},
        {"signing": "github"},
        {"signing_secret": "another"},
        {"signing_secret_old": ""},
        {"signing_timestamp_header": ""},
        {"payload": '{"a": 1.1}'},
        {"timeout": 8},
        {"verify_tls": True},
        {"ca_pem": ""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_change_changes_the_fingerprint(change):
    assert replace(FULL, **change) != FULL
    assert replace(FULL, **change).fingerprint(KEY) != FULL.fingerprint(KEY)


def test_the_fingerprint_is_keyed_and_contains_no_secret():
    assert FULL.fingerprint("another key") != FULL.fingerprint(KEY)
    assert len(FULL.fingerprint(KEY)) == 64
    assert not [secret for secret in SECRETS if secret in FULL.fingerprint(KEY)]
