"""Property tests: any input of a user, row, alert or receiver gives a declared result."""

import json
import string
import time
from types import SimpleNamespace

import pytest
from channels import form_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from receiver import Receiver, raw
from werkzeug.datastructures import MultiDict

from config import Config
from delivery import sender
from delivery.alerts.alert import Alert
from delivery.alerts.samples import sample_alert
from delivery.channel_test import describe
from delivery.event import Event
from delivery.guard.connection import serialize
from delivery.guard.exchange import Policy
from delivery.guard.url import InvalidUrl, parse_url
from delivery.kinds import kinds
from delivery.message import Message, MessageError, build
from delivery.outcome import REASONS
from delivery.retry import retry_after, verdict_of_status
from delivery.secrets.encryption import Keyring
from delivery.settings import AUTHS, METHODS, SIGNINGS, Header, Settings, read_settings
from models import Channel
from web.channels.forms import ChannelForm
from web.channels.secret_fields import Context

ALLOW = Config.from_env({"TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8"}).allow
NOW = 1_790_000_000_000
KEYRING = Keyring(("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",))

# Pure functions are cheap; tests over a socket run fewer examples.
pure = settings(deadline=None, max_examples=250)
wired = settings(deadline=None, max_examples=200)

texts = st.text(st.characters(exclude_categories=[]), max_size=20)
posted = st.text(
    st.characters(exclude_categories=["Cs"]), max_size=20
)  # a form is decoded with "replace"


def form_with(**fields) -> ChannelForm:
    """Return a channel form without a web server."""
    services = SimpleNamespace(policy=Policy(ALLOW), keyring=KEYRING)
    posted = MultiDict(form_of(**fields))
    return ChannelForm(Context(Settings(), lambda _name: False, services, posted))


def message_of(given: Settings) -> Message:
    return build(given, Event(sample_alert(NOW, "http://tocsin.test/"), NOW, NOW))


def on_the_wire(given: Settings) -> list[str]:
    """Return the lines of the head of the request that is sent."""
    message = message_of(given)
    prepared = sender.prepare(message, given, 1, NOW / 1000)
    describe(message, given, prepared)
    head = serialize(prepared).partition(b"\r\n\r\n")[0]
    return head.decode("latin-1").split("\r\n")


# --- the URL --------------------------------------------------------------------------------------

_signs = st.text(
    st.sampled_from(
        "htps:/@[]%?#\\.-_~0x1aé。ß\u200b\u00ad\x00 \t\n℀:９;&=+<>\"'{}|^`" + string.digits
    ),
    max_size=30,
)
_hosts = st.one_of(
    st.sampled_from(
        [
            "hooks.example",
            "a_b.example",
            "bücher.example",
            "127.1",
            "[2606:4700::7]",
            "xn--a",
            "xn--bcher-kva.example",
        ]
    ),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs"]), min_size=1, max_size=10),
)
_ports = st.one_of(st.just(""), st.integers(0, 70_000).map(":{}".format))
_separators = st.sampled_from(["", "/", "?", "#", "/@", "/..//", "/%2e%2e/", "/%", "?%zz", "/\\"])
_urls = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["http://", "https://", "HTTP://"]),
    _hosts,
    _ports,
    _separators,
    _signs,
)


@pure
@given(st.one_of(_urls, posted, _signs))
@example("http://xn--a/")
@example("https://hooks.example/%")
def test_a_url_gets_a_message_or_is_sent_to_the_parsed_host_and_port(url):
    form = form_with(url=url)
    form.validate()
    if form.url.errors:
        [message] = form.url.errors
        assert message.endswith((".", ")", "…."))
        return
    target = parse_url(url)
    lines = on_the_wire(form.settings())
    assert f"Host: {target.authority}" in lines
    assert lines[0].startswith("POST /")
    assert lines[0].endswith(" HTTP/1.1")
    assert lines[0].count(" ") == 2


@pure
@given(st.one_of(texts, _urls))
def test_a_parsed_url_is_stable_or_the_url_is_refused(url):
    try:
        target = parse_url(url)
        sender.unambiguous_url(target)
    except InvalidUrl as refusal:
        assert str(refusal)
        return
    assert parse_url(target.url) == target
    assert 1 <= target.port <= 65_535


# --- header rows, authentication, signatures ------------------------------------------------------

_names = st.one_of(
    posted,
    st.text(st.sampled_from("XAaz09-_!#$%&'*+.^`|~:\r\n\t \x00é"), max_size=12),
    st.sampled_from(
        [
            "Host",
            "Content-Type",
            "Accept",
            "Accept-Encoding",
            "User-Agent",
            "Authorization",
            "Cookie",
            "Transfer-Encoding",
            "TE",
        ]
    ),
    st.sampled_from(
        [
            "Content-Length",
            "content-md5",
            "X-Hub-Signature-256",
            "Webhook-Id",
            "Expect",
            "Date",
            "Range",
            "Via",
        ]
    ),
)
_values = st.one_of(
    posted,
    st.text(st.characters(max_codepoint=300), max_size=20),
    st.sampled_from(["", " ", "a\r\nX: y", "\x7f", "\x85", "\xa0x\xa0"]),
)


@pure
@given(_names, _values, st.sampled_from(["", "1"]))
@example("X-A", "a\x85b", "")
@example("Content-Type", "text/plain; charset=é", "1")
def test_a_header_row_gets_a_message_or_is_sent_as_typed(name, value, secret):
    form = form_with(headers_0_name=name, headers_0_value=value, headers_0_secret=secret)
    if not form.validate():
        [row] = form.headers
        assert [*row.form.name.errors, *row.value.errors]
        assert not [one.name for one in form if one.errors and one.name != "headers"]
        return
    rows = form.settings().headers
    assert [
        f"{row.name}: {row.value}"
        for row in rows
        if f"{row.name}: {row.value}" not in on_the_wire(form.settings())
    ] == []
    assert [(row.name, row.value) for row in rows] == (
        [(name.strip(), value.strip())] if rows else []
    )


@pure
@given(
    st.sampled_from(AUTHS),
    _names,
    _values,
    st.sampled_from(SIGNINGS),
    _values,
    _names,
    st.sampled_from(METHODS),
)
@example("basic", "ops", "", "github", "é", "", "GET")
@example("header", "X-Hub-Signature-256", "x", "github", "x", "", "POST")
@example("none", "", "", "grafana", "x", "Authorization", "POST")
def test_credentials_and_signatures_get_a_message_or_can_be_sent(
    auth, username, secret, signing, key, stamp, method
):
    form = form_with(
        auth=auth,
        auth_username=username,
        auth_secret=secret,
        signing=signing,
        signing_secret=key,
        signing_secret_old=key,
        signing_timestamp_header=stamp,
        method=method,
    )
    if form.validate():
        lines = on_the_wire(form.settings())
        assert all(": " in line or line.endswith(":") for line in lines[1:])
        assert len({line.partition(":")[0].lower() for line in lines}) == len(lines)
        return
    assert form.invalid_fields()


# --- statuses and waits ---------------------------------------------------------------------------


@pure
@given(st.integers())
def test_every_number_is_a_status_with_a_verdict(status):
    expected = (
        "delivered"
        if 200 <= status <= 299
        else "retry"
        if 500 <= status <= 599 or status in (408, 425, 429)
        else "failed"
    )
    assert verdict_of_status(status) == ("gone" if status == 410 else expected)


_dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon", "Xyz", "", "Montag"]),
    st.integers(-1, 99),
    st.sampled_from(["Mar", "Feb", "", "13"]),
    st.one_of(st.integers(-5, 10_000), st.integers()),
    *[st.integers(-1, 99)] * 3,
    st.sampled_from(["GMT", "", "-0000", "+2400", "-9999", "+99999999999", "EST", "Z"]),
)


@pure
@given(
    st.lists(
        st.one_of(texts, _dates, st.floats().map(str), st.text("0123456789.", max_size=12)),
        max_size=3,
    ),
    st.floats(0, 4e10),
)
def test_a_wait_is_none_or_at_most_six_hours(values, now):
    wait = retry_after(values, now)
    assert wait is None or 0 <= wait <= 21_600


# --- messages -------------------------------------------------------------------------------------

_leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
_json = st.recursive(
    _leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=10,
)
_parts = ["id", "name", "status", "type", "labels", "annotations", "starts_at", "ends_at", "url"]
_alerts = st.one_of(_json, st.fixed_dictionaries({}, optional=dict.fromkeys(_parts, _json)))
_headers = st.lists(st.builds(Header, texts, texts, st.booleans()), max_size=3).map(tuple)
_damaged = {
    "method": st.one_of(st.sampled_from(METHODS), texts),
    "headers": _headers,
    "auth": st.one_of(st.sampled_from(AUTHS), texts),
    "auth_username": texts,
    "auth_secret": texts,
    "signing": st.one_of(st.sampled_from(SIGNINGS), texts),
    "signing_secret": texts,
    "signing_secret_old": texts,
    "signing_timestamp_header": texts,
    "payload": st.one_of(texts, _json.map(json.dumps)),
    "ca_pem": texts,
}
_kinds = st.one_of(st.sampled_from(sorted(kinds())), texts)
_settings = st.builds(
    Settings, kind=_kinds, url=st.one_of(st.just("http://127.0.0.1:9/x"), _urls, texts), **_damaged
)


@pure
@given(_settings, _alerts, st.integers(0, 2**63), st.integers(0, NOW * 2), st.booleans())
def test_a_message_is_valid_json_or_a_declared_refusal(given, parts, number, at, repeated):
    try:
        message = build(given, Event(Alert.from_json(parts), number, at, repeated))
    except (InvalidUrl, MessageError) as refusal:
        assert str(refusal)
        return
    if message.body:
        json.loads(message.body.decode("utf-8"), parse_constant=pytest.fail)
    else:
        assert message.method == "GET"


@pure
@given(_json, _json)
def test_a_stored_row_of_any_json_can_be_read(public, hidden):
    sealed = KEYRING.encrypt("channel 1", hidden)
    given, _problem = read_settings(
        Channel(id=1, name="x", kind="webhook", settings=json.dumps(public), sealed=sealed), KEYRING
    )
    try:
        json.loads(message_of(given).body or "{}")
    except InvalidUrl:
        assert given.target is None


# --- the sender over a real socket ----------------------------------------------------------------


@pytest.fixture(scope="module")
def outcome_of():
    """Return a function that sends to a receiver which responds with given bytes.

    It checks what is true of every outcome.
    """
    receiver = Receiver()

    def outcome_of(data: bytes, **fields):
        receiver.script = raw(data)
        given = Settings(**{**fields, "url": receiver.url, "timeout": 0.3})
        # The machine may stall once in thousands of exchanges; a slow response is slow every time.
        for _ in range(3):
            began = time.monotonic()
            outcome = sender.send(message_of(given), given, Policy(ALLOW)).outcome
            seconds = time.monotonic() - began
            if seconds < given.timeout:
                break
        assert seconds < given.timeout + 0.5
        assert outcome.reason in REASONS
        assert len(outcome.excerpt) <= 4000
        assert outcome.stages[-1].name == "verdict"
        return outcome

    yield outcome_of
    receiver.close()


_lines = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 500 Oops\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Hints\r\nX: y\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n",
    b"HTTP/1.1 204 None\r\n",
    b"HTTP/1.1 304 Same\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: x\r\n",
    b"HTTP/1.1 999\r\n",
    b"HTTP/1.1 099 Low\r\n",
    b"HTTP/1.1 -1 Low\r\n",
    b"HTTP/2 200\r\n",
    b"HTTP/0.9 200 OK\r\n",
    b"ICY 200 OK\r\n",
]
_fields = [
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: -5\r\n",
    b"Content-Length: 5, 6\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Content-Length: 99999999999999999999999\r\n",
    b"Content-Length: x\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: CHUNKED\r\n",
    b"Transfer-Encoding: chunked, x\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Content-Encoding: deflate\r\n",
    b"Content-Encoding: gzip, gzip, deflate\r\n",
    b"Content-Encoding: " + b"gzip, " * 20 + b"gzip\r\n",
    b"Content-Encoding: br, zstd, x\r\n",
    b"Content-Type: text/plain; charset=utf-16\r\n",
    b"Content-Type: multipart/mixed; boundary=x\r\n",
    b"Retry-After: 5\r\n",
    b"Connection: keep-alive\r\n",
    b" folded\r\n",
    b": no name\r\n",
    b"no colon\r\n",
    b"X: \xff\x00\r\n",
    b"X: a\rY: b\n",
]
_bodies = [
    b"\r\n",
    b"plain",
    b"5\r\nplain\r\n",
    b"0\r\n\r\n",
    b"0\r\nX: y\r\n\r\n",
    b"-5\r\n",
    b"+5\r\nplain\r\n",
    b"0x5\r\nplain\r\n",
    b"1_0\r\n",
    b"5;x=y\r\nplain\r\n",
    b"ffffffffffffffff\r\n",
    b"5\r\npl",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03+\xc8I\xcc\xcc\x03\x00",
    b"x\x9c+\xc8I\xcc\xcc\x03\x00",
]
_head = st.tuples(
    st.sampled_from(_lines),
    st.lists(st.one_of(st.sampled_from(_fields), st.binary(max_size=6)), max_size=5).map(b"".join),
)
_answers = st.tuples(
    _head.map(b"".join),
    st.just(b"\r\n"),
    st.lists(st.one_of(st.sampled_from(_bodies), st.binary(max_size=8)), max_size=5).map(b"".join),
)
_shuffled = st.permutations([*_lines[:4], *_fields[:9], *_bodies[:5]]).flatmap(
    lambda pieces: st.integers(1, len(pieces)).map(lambda count: b"".join(pieces[:count]))
)


KNOWN = {
    "lengths that differ": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nplain",
    "a length of many digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a status of many digits": b"HTTP/1.1 " + b"9" * 5000 + b" OK\r\n\r\n",
    "a chunk of negative length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"-5\r\nplain\r\n",
    "a chunk of minus one": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nplain\r\n",
    "a chunk of huge length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"f" * 4000
    + b"\r\n",
    "too many encodings": b"HTTP/1.1 200 OK\r\nContent-Encoding: "
    + b"gzip, " * 20
    + b"gzip\r\n\r\nplain",
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_response_that_breaks_a_library_is_the_receivers_fault(outcome_of, name):
    outcome = outcome_of(KNOWN[name])
    assert (outcome.reason, outcome.actor) != ("internal_error", "tocsin")


@wired
@given(
    st.one_of(
        st.binary(max_size=60), st.binary(max_size=60).map(lambda data: b"HTTP/1.1 200 " + data)
    )
)
def test_random_bytes_give_an_outcome_in_time(outcome_of, data):
    assert outcome_of(data).reason != "internal_error"


@settings(wired, max_examples=500)
@given(st.one_of(_answers.map(b"".join), _shuffled))
def test_a_mutated_response_gives_an_outcome_in_time(outcome_of, data):
    assert outcome_of(data).reason != "internal_error"


@wired
@given(
    st.binary(max_size=40),
    st.sampled_from(
        [b"gzip", b"deflate", b"gzip, deflate", b"br", b"zstd", b"identity", b"x-gzip"]
    ),
)
def test_a_body_in_any_encoding_gives_an_outcome_in_time(outcome_of, data, encoding):
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (
        encoding,
        len(data),
    )
    assert outcome_of(head + data).verdict == "delivered"


@wired
@given(st.fixed_dictionaries(_damaged))
def test_no_stored_setting_makes_the_sender_raise(outcome_of, damaged):
    assert outcome_of(b"HTTP/1.1 204 None\r\n\r\n", **damaged).reason != "internal_error"
