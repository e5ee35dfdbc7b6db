"""Secrets never leak into a page, a header, a log, a stored row, a file or a `repr`."""

import base64
import contextlib
import gzip
import html
import json
import logging
import re
import socket
import ssl
import threading
from urllib.parse import quote, quote_plus

import markupsafe
import pytest
import trustme
from channels import create, form_of, marks, stored_form
from conftest import PASSWORD
from databases import contents_of, make_read_only
from receiver import raw, reply, silence

from config import Config
from delivery import channel_test, sender
from delivery.alerts.samples import sample_alert
from delivery.event import Event
from delivery.guard import sockets
from delivery.guard.exchange import Policy
from delivery.message import build
from delivery.settings import Header, Settings
from models import Attempt, Channel, Login
from web.channels import live, views

POLICY = Policy(Config.from_env({"TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8"}).allow)
NOW = 1_790_000_000_000

MARKERS = {
    "path": "m4rker-path-q7Zt2",
    "query": "m4rker-query-w8Ky3",
    "fragment": "m4rker-fragment-e9Ju4",
    "header row": "m4rker-row-r1Hb5",
    "auth": "m4rker-auth-t2Gv6",
    "signing": "whsec_bTRya2VyLXNpZ25pbmctcDNGYzc=",
    "old signing": "whsec_bTRya2VyLW9sZHNpZ24tYTRTeDg=",
}
AUTHS = [
    {"auth": "basic", "auth_username": "ops"},
    {"auth": "bearer"},
    {"auth": "header", "auth_username": "X-Auth"},
]


def spellings(secret: str) -> set[str]:
    """Return the spellings of a secret in a text.

    Inside a longer base64 text it has one of three forms, depending on its offset.
    """
    data = secret.encode()
    cores = [
        base64.b64encode(b"-" * before + data).decode()[4 if before else 0 :].rstrip("=")[:-2]
        for before in range(3)
    ]
    plain = {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        html.escape(secret),
    }
    return {*plain, *cores, "".join(f"%{byte:02x}" for byte in data)}


SPELLINGS = {name: spellings(secret) for name, secret in MARKERS.items()}


def leaks(text) -> list[str]:
    """Return the names of the secrets that a text or bytes contain in any spelling."""
    shown = text.decode("latin-1") if isinstance(text, bytes) else text
    shown = shown.lower()
    return [
        name for name, spelled in SPELLINGS.items() if any(one.lower() in shown for one in spelled)
    ]


@pytest.mark.parametrize("name", MARKERS)
@pytest.mark.parametrize("before", ["", "o", "op", "ops:"])
def test_the_search_of_these_tests_finds_a_secret(name, before):
    secret = MARKERS[name]
    for text in (
        secret,
        quote(secret, safe=""),
        secret.upper(),
        base64.b64encode(f"{before}{secret}".encode()).decode(),
    ):
        assert name in leaks(f"<p>{text}</p>")


def url_of(origin: str) -> str:
    """Return a URL with secrets in its path, query and fragment."""
    return f"{origin}/hooks/{MARKERS['path']}?key={MARKERS['query']}#{MARKERS['fragment']}"


def secret_form(origin: str, **fields) -> dict:
    """Return a valid form with every secret."""
    secrets = {
        "headers_0_name": "X-Key",
        "headers_0_value": MARKERS["header row"],
        "headers_0_secret": "1",
    }
    secrets |= {"auth": "bearer", "auth_secret": MARKERS["auth"], "signing": "standard"}
    secrets |= {"signing_secret": MARKERS["signing"], "signing_secret_old": MARKERS["old signing"]}
    return form_of(url_of(origin), **{**secrets, **fields})


def secret_settings(origin: str, **fields) -> Settings:
    """Return the settings with every secret."""
    given = {
        "headers": (Header("X-Key", MARKERS["header row"], secret=True),),
        "auth": "bearer",
        "timeout": 0.3,
    }
    given |= {"auth_secret": MARKERS["auth"], "signing": "standard"}
    given |= {"signing_secret": MARKERS["signing"], "signing_secret_old": MARKERS["old signing"]}
    return Settings(url=url_of(origin), **{**given, **fields})


def message_of(settings):
    return build(settings, Event(sample_alert(NOW, "http://tocsin.test/"), NOW * 1_000_000, NOW))


def send(settings):
    return sender.send(message_of(settings), settings, POLICY).outcome


# --- watched places -------------------------------------------------------------------------------


class Watch:
    """A client that keeps every response, and every place where a secret could appear."""

    def __init__(self, client, config, caplog, capfd):
        self.client, self.config, self.caplog, self.capfd = client, config, caplog, capfd
        self.responses, self.outcomes, self.printed = [], [], ""

    def get(self, path, **kwargs):
        self.responses.append((f"GET {path}", self.client.get(path, **kwargs)))
        return self.responses[-1][1]

    def post(self, path, data=None, **kwargs):
        self.responses.append((f"POST {path}", self.client.post(path, data, **kwargs)))
        return self.responses[-1][1]

    def without_token(self, path, data=None, **kwargs):
        self.responses.append(
            (f"POST {path} without a token", self.client.without_token(path, data, **kwargs))
        )
        return self.responses[-1][1]

    def found(self) -> dict:
        """Return every place that shows a secret, with the names of the secrets."""
        places = [
            (f"{what}: {part}", text)
            for what, one in self.responses
            for part, text in parts_of(one)
        ]
        places += [(f"log of {record.name}", to_text(record)) for record in self.caplog.records]
        places += [("outcome", f"{outcome!s} {outcome!r}") for outcome in self.outcomes]
        places += [("printed", "".join(self.capfd.readouterr()))]
        places += [
            (f"attempt {attempt.id}", repr(attempt.__data__)) for attempt in Attempt.select()
        ]
        places += contents_of(self.config.database)
        return {
            f"{number} {place}": names
            for number, (place, text) in enumerate(places)
            if (names := leaks(text))
        }


def parts_of(response):
    """Return headers and text of a response, without the value of the editor's URL input.

    Only that input shows a URL in full.
    """
    text, inputs = re.subn(r'(<input id="url" [^>]*?\bvalue=")[^"]*"', r'\1"', response.text)
    assert inputs <= 1
    return [("headers", str(response.headers)), ("text", html.unescape(text))]


def to_text(record) -> str:
    """Return everything that a handler could write of a record."""
    text = logging.Formatter().format(record)
    return f"{text} {record.msg!r} {record.args!r} {record.stack_info}"


def listen(caplog, *, except_for=()):
    """Set every logger to DEBUG."""
    caplog.set_level(logging.DEBUG)
    for name in [
        name for name in logging.root.manager.loggerDict if name.split(".")[0] not in except_for
    ]:
        caplog.set_level(logging.DEBUG, logger=name)


@pytest.fixture
def watch(client, config, caplog, capfd, monkeypatch):
    """A watched client that also keeps the outcomes of its tests."""
    watch = Watch(client, config, caplog, capfd)
    send_ = channel_test.send
    monkeypatch.setattr(
        channel_test,
        "send",
        lambda *args, **kwargs: watch.outcomes.append(send_(*args, **kwargs)) or watch.outcomes[-1],
    )
    listen(caplog, except_for=("urllib3",))
    yield watch
    caplog.clear()


# --- the whole flow -------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", AUTHS, ids=lambda auth: auth["auth"])
def test_no_step_of_a_channels_life_shows_a_secret(watch, receiver, auth):
    origin = f"http://127.0.0.1:{receiver.port}"
    receiver.script = echo_in_body()
    form = secret_form(origin, **auth)
    watch.post("/channels/new/preview", form)
    watch.post("/channels/new/test", form)
    channel_id = create(watch, **form)
    base = f"/channels/{channel_id}"
    for path in ("/channels", f"{base}/edit", f"{base}/delete"):
        assert watch.get(path).status_code == 200
    stored = stored_form(watch, channel_id)
    for htmx in (True, False):
        for action in ("preview", "test", "rows"):
            assert watch.post(f"{base}/{action}", stored, htmx=htmx).status_code == 200
    assert watch.post(base, {**stored, "payload": "[1]"}).status_code == 303
    assert watch.post(base, {**stored, "payload": "[2]"}).status_code == 409
    assert watch.post(base, {**stored, **form, "payload": "[3]"}).status_code == 409
    assert watch.post(f"{base}/duplicate").status_code == 303
    assert watch.get(f"/channels/{channel_id + 1}/edit").status_code == 200
    assert watch.get("/channels").text.count('id="channel-') == 2
    for request in receiver.requests:  # The secrets did go out, else this test would prove nothing.
        assert {"path", "query", "header row", "auth"} <= set(leaks(repr(request)))
    assert watch.found() == {}


def test_an_invalid_form_shows_no_secret(watch):
    form = secret_form("http://127.0.0.1:9")
    wrong = [
        {"name": ""},
        {"payload": "{"},
        {"url": url_of("http://10.0.0.5")},
        {"url": url_of("ftp://h.example")},
        {"url": url_of("http://h.example:99999")},
        {"url": url_of("http://user@h.example")},
        {"url": url_of("http://h.example") + " x"},
        {"signing_secret": MARKERS["signing"] + "%"},
        {"signing_secret_old": MARKERS["old signing"] + "%"},
        {"auth_secret": MARKERS["auth"] + "\n"},
        {"auth_secret": MARKERS["auth"] + "監"},
        {"auth_secret": MARKERS["auth"] * 400},
        {"headers-0-value": MARKERS["header row"] + "\r\nX: y"},
        {"headers-0-value": MARKERS["header row"] + "監"},
        {"headers-0-name": "Host"},
        {"auth": "header", "auth_username": "X-Key"},
        {"auth": "nonsense"},
        {"signing": "nonsense"},
        {"kind": "nonsense"},
    ]
    for change in wrong:
        for path in ("/channels", "/channels/new/test", "/channels/new/preview"):
            assert watch.post(path, {**form, **change}).status_code == 422, (path, change)
        for path in ("/channels/new/test", "/channels/new/preview", "/channels/new/rows"):
            watch.post(path, {**form, **change}, htmx=True)
    assert watch.found() == {}


FIELDS = [
    "name",
    "kind",
    "url",
    "method",
    "headers",
    "headers-0-name",
    "headers-0-value",
    "headers-0-secret",
    "auth",
]
FIELDS += [
    "auth_username",
    "auth_secret",
    "signing",
    "signing_secret",
    "signing_secret_old",
    "payload",
    "timeout",
    "ca_pem",
]


def test_no_field_check_shows_a_secret(watch):
    broken = {name: f"{name}\x00\n監{secret}" for name, secret in MARKERS.items()}
    form = secret_form(
        "http://10.0.0.5", auth_secret=broken["auth"], signing_secret=broken["signing"]
    )
    form |= {"headers-0-value": broken["header row"], "signing_secret_old": broken["old signing"]}
    answers = [watch.post(f"/channels/new/validate/{field}", form, htmx=True) for field in FIELDS]
    assert [one.status_code for one in answers] == [200] * len(FIELDS)
    assert sum(bool(one.text) for one in answers) >= 5
    assert watch.found() == {}


@pytest.mark.parametrize(
    "url", ["http://other.example", "https://127.0.0.1:9", "http://127.0.0.1:10"]
)
def test_a_changed_origin_requires_the_secrets_without_showing_them(watch, url):
    channel_id = create(watch, **secret_form("http://127.0.0.1:9"))
    stored = {**stored_form(watch, channel_id), "url": url_of(url)}
    for path in ("", "/test", "/preview"):
        assert watch.post(f"/channels/{channel_id}{path}", stored).status_code == 422
    assert watch.found() == {}


def test_an_outdated_page_and_a_deleted_channel_show_no_secret(watch):
    form = secret_form("http://127.0.0.1:9")
    channel_id = create(watch, **form)
    stored = stored_form(watch, channel_id)
    for path in (
        "/channels",
        f"/channels/{channel_id}",
        f"/channels/{channel_id}/test",
        "/channels/new/validate/url",
    ):
        for posted in (form, {**stored, "csrf_token": "forged"}):
            assert watch.without_token(path, posted).status_code == 400
            watch.without_token(path, posted, headers={"HX-Request": "true"})
    assert watch.post(f"/channels/{channel_id}/delete").status_code == 303
    assert watch.post(f"/channels/{channel_id}", {**stored, **form}).status_code == 404
    assert watch.found() == {}


def test_a_read_only_database_is_reported_without_secrets(watch, receiver):
    form = secret_form(f"http://127.0.0.1:{receiver.port}")
    receiver.script = echo_in_body()
    channel_id = create(watch, **form)
    stored = stored_form(watch, channel_id)
    make_read_only()
    assert watch.post(f"/channels/{channel_id}", {**stored, **form}).status_code == 503
    assert watch.post(f"/channels/{channel_id}/duplicate").status_code == 503
    assert watch.post(f"/channels/{channel_id}/test", stored, htmx=True).status_code == 200
    assert watch.found() == {}


def quoting(*_args, **_kwargs):
    """Raise a chained exception with every secret in its text, as requests and http.client do."""
    everything = " ".join(MARKERS.values())
    try:
        raise KeyError(everything)
    except KeyError as error:
        raise ValueError(f"Invalid header value {everything!r}", everything) from error


@pytest.mark.parametrize(
    "place",
    ["sender.prepare", "guard.adapter.connection_for", "sender._read", "sender.classify_response"],
)
def test_an_exception_inside_the_sender_shows_no_secret(watch, receiver, monkeypatch, place):
    monkeypatch.setattr(f"delivery.{place}", quoting)
    response = watch.post(
        "/channels/new/test", secret_form(f"http://127.0.0.1:{receiver.port}"), htmx=True
    )
    assert response.status_code in (200, 500)
    assert watch.found() == {}


def test_an_exception_while_a_test_is_prepared_is_an_outcome(client, receiver, monkeypatch):
    monkeypatch.setattr(sender, "prepare", quoting)
    response = client.post(
        "/channels/new/test", secret_form(f"http://127.0.0.1:{receiver.port}"), htmx=True
    )
    assert response.status_code == 200
    assert marks(response.text)["reason"] == "internal_error"


@pytest.mark.parametrize(
    ("module", "name", "path"),
    [
        (views, "save_or_explain", "/channels"),
        (views, "save", "/channels"),
        (live, "sample_bodies", "/channels/new/preview"),
        (live, "sample_request", "/channels/new/preview"),
        (live, "hints_for", "/channels/new/validate/url"),
        (live, "store_result", "/channels/new/test"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_an_internal_error_shows_no_secret_on_the_500_page_or_in_the_log(
    watch, monkeypatch, module, name, path
):
    monkeypatch.setattr(module, name, quoting)
    monkeypatch.setattr(channel_test, "send", lambda *_args, **_kwargs: (None, None))
    for htmx in (True, False):
        response = watch.post(path, secret_form("http://127.0.0.1:9"), htmx=htmx)
        assert response.status_code == 500
        assert "Tocsin made a mistake" in response.text
    assert any("internal error" in record.getMessage() for record in watch.caplog.records)
    assert watch.found() == {}


# --- receivers that echo the request --------------------------------------------------------------


def received(request) -> bytes:
    """Return the request as a receiver may quote it."""
    lines = [
        f"{request.method} {request.path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in request.headers.items()),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + request.body


def answering(make):
    """Return a script that sends the response that `make` builds from the request."""

    def script(receiver, connection):
        connection.sendall(make(receiver.requests[-1]))

    return script


def echo_in_body(spell=lambda data: data, status=200, head=b""):
    """Return a script that sends the whole request back as its body, in another spelling."""

    def make(request):
        body = spell(received(request))
        return b"HTTP/1.1 %d Echo\r\n%sContent-Length: %d\r\n\r\n%s" % (
            status,
            head,
            len(body),
            body,
        )

    return answering(make)


def echo_in_charset(charset):
    """Return the script of `echo_in_body` in another charset."""
    head = f"Content-Type: text/plain; charset={charset}\r\n".encode()
    return echo_in_body(lambda data: data.decode("latin-1").encode(charset), 500, head)


def echo_in_headers(name=b"X-Echo-%d", status=200):
    """Return a script that sends every value back in a header with this name."""

    def make(request):
        values = [request.path, *request.headers.values()]
        named = [name % number if b"%d" in name else name for number in range(len(values))]
        lines = [
            one + b": " + value.encode("latin-1") for one, value in zip(named, values, strict=True)
        ]
        return b"HTTP/1.1 %d Echo\r\n%s\r\nContent-Length: 0\r\n\r\n" % (
            status,
            b"\r\n".join(lines),
        )

    return answering(make)


def with_secrets(template: bytes):
    """Return a script that sends the template, with the secrets of the request for %s."""

    def make(request):
        values = [request.path, *request.headers.values()]
        return template.replace(b"%s", " ".join(values).encode("latin-1"))

    return answering(make)


def names_of_secrets(request) -> bytes:
    """Return a response with every secret as a header name, without invalid characters."""
    values = [*request.path.split("/"), MARKERS["query"], *request.headers.values()]
    names = [re.sub(r"[^A-Za-z0-9_.-]", "", value) for value in values]
    return (
        b"HTTP/1.1 200 OK\r\n"
        + "".join(f"{name}: x\r\n" for name in names if name).encode()
        + b"Content-Length: 0\r\n\r\n"
    )


def as_pages(data: bytes) -> bytes:
    return json.dumps(
        {"said": data.decode("latin-1"), "too": html.escape(data.decode("latin-1"))}
    ).encode()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ECHOES = {
    "the body": echo_in_body(),
    "the body of a 500": echo_in_body(status=500),
    "a JSON body with HTML in it": echo_in_body(as_pages),
    "a percent-encoded body": echo_in_body(lambda data: quote(data, safe="").encode()),
    "a form": echo_in_body(lambda data: quote_plus(data).encode()),
    "a body in utf-16": echo_in_charset("utf-16"),
    "a body in utf-7": echo_in_charset("utf-7"),
    "a compressed body": echo_in_body(gzip.compress, 404, b"Content-Encoding: gzip\r\n"),
    "a body that breaks off": with_secrets(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n%s and so on"
    ),
    "headers": echo_in_headers(),
    "headers of a 401": echo_in_headers(b"WWW-Authenticate", 401),
    "names of headers": answering(names_of_secrets),
    "cookies": echo_in_headers(b"Set-Cookie"),
    "a Location": echo_in_headers(b"Location", 302),
    "a Retry-After": echo_in_headers(b"Retry-After", 503),
    "a Content-Type": echo_in_headers(b"Content-Type"),
    "a charset": with_secrets(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=%s\r\nContent-Length: 1\r\n\r\nx"
    ),
    "a Content-Encoding": echo_in_headers(b"Content-Encoding"),
    "a Content-Length": echo_in_headers(b"Content-Length"),
    "a Transfer-Encoding": echo_in_headers(b"Transfer-Encoding"),
    "the reason phrase": with_secrets(b"HTTP/1.1 500 %s\r\nContent-Length: 0\r\n\r\n"),
    "a status that is none": with_secrets(b"HTTP/1.1 %s OK\r\n\r\n"),
    "a protocol that is none": with_secrets(b"%s HTTP/1.1 200 OK\r\n\r\n"),
    "a header that is none": with_secrets(
        b"HTTP/1.1 200 OK\r\n%s\r\n %s\r\nContent-Length: 0\r\n\r\n"
    ),
    "an interim answer": with_secrets(
        b"HTTP/1.1 103 %s\r\nX: %s\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    ),
    "a broken chunk line": with_secrets(CHUNKED + b"%s\r\nabc"),
    "a chunk extension": with_secrets(CHUNKED + b"1;x=%s\r\na\r\n0\r\n\r\n"),
    "a chunk longer than it says": with_secrets(CHUNKED + b"1\r\n%s\r\n0\r\n\r\n"),
    "a trailer": with_secrets(CHUNKED + b"1\r\na\r\n0\r\nX: %s\r\n\r\n"),
    "no HTTP at all": answering(received),
}
DEAD_ENDS = {
    "a receiver that says nothing": raw(b""),
    "a receiver that speaks SSH": raw(b"SSH-2.0-OpenSSH_9\r\n"),
    "a head without an end": raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000),
}


def test_no_secret_is_shown_wherever_a_receiver_echoes_it(watch, receiver):
    channel_id = create(watch, **secret_form(f"http://127.0.0.1:{receiver.port}"))
    stored = stored_form(watch, channel_id)
    for script in {**ECHOES, **DEAD_ENDS}.values():
        receiver.script = script
        assert watch.post(f"/channels/{channel_id}/test", stored).status_code == 200
    watch.get(f"/channels/{channel_id}/edit")
    assert len(watch.outcomes) == len(ECHOES) + len(DEAD_ENDS)
    assert watch.found() == {}


@pytest.mark.parametrize("auth", AUTHS, ids=lambda auth: auth["auth"])
@pytest.mark.parametrize("place", ECHOES)
def test_an_outcome_contains_no_secret_wherever_a_receiver_echoes_it(receiver, place, auth):
    receiver.script = ECHOES[place]
    outcome = send(secret_settings(f"http://127.0.0.1:{receiver.port}", **auth))
    assert leaks(f"{outcome!s} {outcome!r}") == []
    assert {"path", "query", "header row", "auth"} <= set(leaks(repr(receiver.requests[0])))


@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_an_echo_of_another_method_shows_no_secret(receiver, method):
    receiver.script = echo_in_body()
    outcome = send(secret_settings(f"http://127.0.0.1:{receiver.port}", method=method))
    assert outcome.verdict == "delivered"
    assert leaks(repr(outcome)) == []


@contextlib.contextmanager
def listening(serve):
    """Yield the port of a server that calls `serve` with each connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def run():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                serve(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def speak_plainly(connection):
    connection.recv(100)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def speak_tls(connection):
    """Speak TLS with an untrusted certificate for another name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("other.example").configure_cert(context)
    with context.wrap_socket(connection, server_side=True) as secure:
        secure.recv(100)


@pytest.mark.parametrize(
    ("serve", "reason"), [(speak_plainly, "tls_not_tls"), (speak_tls, "tls_untrusted")]
)
def test_a_failure_of_tls_shows_no_secret(watch, serve, reason):
    with listening(serve) as port:
        response = watch.post("/channels/new/test", secret_form(f"https://127.0.0.1:{port}"))
    assert marks(response.text)["reason"] == reason
    assert watch.found() == {}


def unknown(*_args, **_kwargs):
    raise socket.gaierror(socket.EAI_NONAME, "unknown")


def inside(*_args, **_kwargs):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.5", 0))]


@pytest.mark.parametrize(
    ("resolve", "reason"), [(unknown, "dns_failure"), (inside, "blocked_address")]
)
def test_an_unresolvable_or_blocked_name_shows_no_secret(watch, monkeypatch, resolve, reason):
    monkeypatch.setattr(sockets.socket, "getaddrinfo", resolve)
    response = watch.post("/channels/new/test", secret_form("http://hooks.example"))
    assert marks(response.text)["reason"] == reason
    assert watch.found() == {}


def test_a_refused_connection_and_a_receiver_that_hangs_show_no_secret(watch, receiver):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    receiver.script = silence
    refused = watch.post("/channels/new/test", secret_form(f"http://127.0.0.1:{port}"))
    hangs = watch.post(
        "/channels/new/test", secret_form(f"http://127.0.0.1:{receiver.port}", timeout="1")
    )
    assert [marks(one.text)["reason"] for one in (refused, hangs)] == [
        "connect_refused",
        "timeout_total",
    ]
    assert watch.found() == {}


@pytest.mark.parametrize("place", ["the body", "a header that is none", "a broken chunk line"])
def test_debug_records_of_urllib3_contain_no_secret(receiver, caplog, place):
    listen(caplog)
    receiver.script = ECHOES[place]
    send(secret_settings(f"http://127.0.0.1:{receiver.port}"))
    shown = {record.name: leaks(to_text(record)) for record in caplog.records}
    caplog.clear()
    assert {name: found for name, found in shown.items() if found} == {}


# --- responses that are truncated inside a secret -------------------------------------------------


def cut_at_the_cap(body: bytes, head: bytes = b""):
    """Return a script with a body over the size limit."""
    return raw(b"HTTP/1.1 200 OK\r\n%sContent-Length: 99999\r\n\r\n%s" % (head, body + b"x" * 9000))


def closed(body: bytes, head: bytes = b""):
    """Return a script that closes before the declared end."""
    return raw(b"HTTP/1.1 500 Oops\r\n%sContent-Length: 99999\r\n\r\n%s" % (head, body))


def closed_between_chunks(body: bytes, head: bytes = b""):
    """Return a script that closes before the last chunk."""
    return raw(
        b"HTTP/1.1 500 Oops\r\n%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n"
        % (head, len(body), body)
    )


def timed_out(body: bytes, head: bytes = b""):
    """Return a script that stops sending after the beginning."""

    def script(receiver, connection):
        raw(b"HTTP/1.1 500 Oops\r\n%sContent-Length: 99999\r\n\r\n%s" % (head, body))(
            receiver, connection
        )
        silence(receiver, connection)

    return script


SPELLED = {
    "plain": lambda secret: secret,
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "as JSON": lambda secret: json.dumps(secret)[1:-1],
    "as HTML": html.escape,
    "in base64": lambda secret: base64.b64encode(secret.encode()).decode(),
}
CUT_SECRET = 'm4rk&"er/cut-off-in-the-middle'


@pytest.mark.parametrize("shown", [4, 5, 12, -1])
@pytest.mark.parametrize("spelling", SPELLED)
@pytest.mark.parametrize("cut", [closed, closed_between_chunks])
def test_a_body_that_ends_inside_a_secret_shows_no_part_of_it(receiver, cut, spelling, shown):
    spelled = SPELLED[spelling](CUT_SECRET)
    receiver.script = cut(b"You sent " + spelled[:shown].encode())
    outcome = send(Settings(url=receiver.url, auth="bearer", auth_secret=CUT_SECRET, timeout=3))
    assert outcome.excerpt.startswith("You sent")
    assert spelled[:4] not in outcome.excerpt


@pytest.mark.parametrize("cut", [closed, timed_out])
def test_a_compressed_body_that_ends_inside_a_secret_shows_no_part_of_it(receiver, cut):
    body = gzip.compress(b"You sent " + CUT_SECRET.encode(), 0)[:-20]
    receiver.script = cut(body, b"Content-Encoding: gzip\r\n")
    outcome = send(Settings(url=receiver.url, auth="bearer", auth_secret=CUT_SECRET, timeout=0.3))
    assert CUT_SECRET[:4] not in outcome.excerpt


@pytest.mark.parametrize("shown", [4, 20])
def test_a_body_that_stalls_inside_a_secret_shows_no_part_of_it(receiver, shown):
    receiver.script = timed_out(b"You sent " + CUT_SECRET[:shown].encode())
    outcome = send(Settings(url=receiver.url, auth="bearer", auth_secret=CUT_SECRET, timeout=0.6))
    assert outcome.excerpt.startswith("You sent")
    assert CUT_SECRET[:4] not in outcome.excerpt


@pytest.mark.parametrize("spelling", SPELLED)
@pytest.mark.parametrize("shown", [4, 15, -1])
def test_a_body_over_the_limit_that_is_truncated_inside_a_secret_shows_no_part_of_it(
    receiver, spelling, shown
):
    # Masked secrets before it are shorter, so that the end of the 16 KB is in the excerpt.
    spelled = SPELLED[spelling](CUT_SECRET)
    beginning = spelled[:shown]
    room = sender.MAX_BODY_BYTES - len(beginning)
    filled = (spelled + ",") * (room // (len(spelled) + 1))
    body = filled + "." * (room - len(filled)) + spelled
    receiver.script = cut_at_the_cap(body.encode())
    outcome = send(Settings(url=receiver.url, auth="bearer", auth_secret=CUT_SECRET, timeout=3))
    assert outcome.excerpt_cut
    assert spelled[:4] not in outcome.excerpt


@pytest.mark.parametrize(
    ("secret", "charset", "body"),
    [
        ("m4rk-wést", "utf-8", "m4rk-wést".encode()[:7]),
        ("m4rk-w監x", "utf-8", "m4rk-w監x".encode()[:8]),
        ("m4rk-wést", "utf-16", "m4rk-wést".encode("utf-16")[:-1]),
    ],
    ids=["after one byte of two", "after two bytes of three", "half a letter of utf-16"],
)
def test_a_body_that_ends_inside_a_character_of_a_secret_shows_no_part_of_it(
    receiver, secret, charset, body
):
    receiver.script = closed(body, f"Content-Type: text/plain; charset={charset}\r\n".encode())
    outcome = send(Settings(url=receiver.url, signing="github", signing_secret=secret, timeout=3))
    assert "m4rk" not in outcome.excerpt


def test_a_truncated_secret_that_begins_with_another_one_shows_no_part_of_its_rest(receiver):
    receiver.script = closed(b"You sent m4rk-one-and-mo")
    secrets = {
        "auth": "bearer",
        "auth_secret": "m4rk-one",
        "signing": "github",
        "signing_secret": "m4rk-one-and-more",
    }
    outcome = send(Settings(url=receiver.url, timeout=3, **secrets))
    assert outcome.excerpt.startswith("You sent")
    assert "and-m" not in outcome.excerpt


@pytest.mark.parametrize("name", ["path", "query", "header row", "auth", "signing", "old signing"])
def test_truncation_hides_the_beginning_of_every_kind_of_secret(receiver, name):
    beginning = MARKERS[name][:10]
    receiver.script = closed(b"You sent " + beginning.encode())
    outcome = send(secret_settings(f"http://127.0.0.1:{receiver.port}"))
    assert outcome.excerpt.startswith("You sent")
    assert beginning[:4] not in outcome.excerpt


@pytest.mark.parametrize("cut", [closed, timed_out])
def test_a_truncated_response_without_secrets_is_shown(receiver, cut):
    receiver.script = cut(b"No such hook: ask the team that owns it, and then")
    outcome = send(Settings(url=receiver.url, auth="bearer", auth_secret=CUT_SECRET, timeout=3))
    assert outcome.excerpt.startswith("No such hook: ask the team that owns it")


# --- other spellings ------------------------------------------------------------------------------

ODD = "m4rk'e\"r&<se>/c+r=e~t!(1)*ä"
# How common frameworks escape a text.
FRAMEWORKS = {
    "Flask and Jinja, HTML": lambda text: str(markupsafe.escape(text)),
    "Django, HTML": html.escape,
    "PHP and old HTML": lambda text: html.escape(text).replace("&#x27;", "&#039;"),
    "XML": lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    "Go, JSON": lambda text: (
        json.dumps(text, ensure_ascii=False)[1:-1]
        .replace("&", "\\u0026")
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
    ),
    "PHP, JSON": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    ".NET, JSON": lambda text: re.sub(
        "[^ -~]|['\"&<>+`]", lambda one: f"\\u{ord(one[0]):04X}", text
    ),
    "JavaScript, encodeURIComponent": lambda text: quote(text, safe="!'()*~-_."),
    "JavaScript, encodeURI": lambda text: quote(text, safe=";/?:@&=+$,#!'()*~-_."),
    "Java, URLEncoder": lambda text: quote_plus(text, safe="*").replace("~", "%7E"),
    "Python, quote": quote,
    "Python, repr": lambda text: repr(text)[1:-1],
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_secret_is_masked_in_the_spelling_of_common_frameworks(receiver, framework):
    spelled = FRAMEWORKS[framework](ODD)
    receiver.script = reply(400, f"You sent {spelled}.".encode())
    outcome = send(Settings(url=receiver.url, auth="bearer", auth_secret=ODD, timeout=3))
    assert outcome.excerpt == "You sent ••••."


def test_a_latin_1_secret_is_masked_when_its_bytes_are_in_the_body(
    receiver,
):
    # Header values are sent in latin-1; a response without a charset is read as UTF-8.
    receiver.script = echo_in_body(status=401)
    outcome = send(
        Settings(url=receiver.url, auth="bearer", auth_secret="m4rk\xe4er-wést", timeout=3)
    )
    assert b"m4rk\xe4er" in received(receiver.requests[0])
    assert "m4rk" not in outcome.excerpt
    assert "er-w" not in outcome.excerpt


def test_a_latin_1_secret_is_masked_in_a_header_in_utf_8(receiver):
    receiver.script = raw(
        "HTTP/1.1 401 No\r\nX-Echo: m4rkäer-wést\r\nContent-Length: 0\r\n\r\n".encode()
    )
    outcome = send(Settings(url=receiver.url, auth="bearer", auth_secret="m4rkäer-wést", timeout=3))
    assert "m4rk" not in repr(outcome.headers)
    assert "er-w" not in repr(outcome.headers)


# --- repr of our own objects ----------------------------------------------------------------------


@pytest.mark.parametrize("auth", AUTHS, ids=lambda auth: auth["auth"])
def test_the_repr_of_settings_contains_no_secret(auth):
    settings = secret_settings("http://127.0.0.1:9", **auth)
    assert leaks(f"{settings!s} {settings!r} {settings.headers!r}") == []


@pytest.mark.parametrize("auth", AUTHS, ids=lambda auth: auth["auth"])
def test_the_curl_line_and_the_described_request_contain_no_secret(auth):
    settings = secret_settings("http://127.0.0.1:9", **auth)
    message = message_of(settings)
    request = channel_test.describe(
        message, settings, sender.prepare(message, settings, 1, NOW / 1000)
    )
    assert request.curl.count("••••") >= 3
    assert leaks(repr(request)) == []


def test_a_stored_row_contains_no_secret_in_any_column(client):
    create(client, **secret_form("http://127.0.0.1:9"))
    row = Channel.get()
    assert leaks(repr(row.__data__)) == []
    assert row.origin == "http://127.0.0.1:9"


# --- people and tokens ----------------------------------------------------------------------------


def test_no_password_link_session_or_token_is_stored_or_logged_or_shown_twice(watch, app, config):
    typed = {"old": PASSWORD, "password": "m4rker-new-password", "again": "m4rker-new-password"}
    wrong = {"username": "ada", "password": "m4rker-wrong-guess"}
    watch.post("/tokens", {"name": "Prometheus", "scope": "ingest"})
    token = re.search(r'value="(tocsin_[\w-]+)"', watch.responses.pop()[1].text)[1]
    watch.post("/people", {"name": "grace", "role": "editor"})
    link = re.search(r'value="[^"]+/setup/([\w-]+)"', watch.responses.pop()[1].text)[1]
    watch.post("/login", wrong)
    watch.post("/account", {**typed, "again": "different"})
    watch.post("/account", typed)
    with watch.client._client.session_transaction() as session:
        login = session["login"]
    machine = app.test_client()
    for headers in ({"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer {token}x"}):
        watch.responses.append(("GET /metrics", machine.get("/metrics", headers=headers)))
    for path in ("/people", "/tokens", "/account", "/channels"):
        assert watch.get(path).status_code == 200
    secrets = [*typed.values(), wrong["password"], token, link, login]
    places = [
        part
        for _, response in watch.responses
        for part in (response.text, without_cookies(response))
    ]
    places += [to_text(record) for record in watch.caplog.records] + [
        "".join(watch.capfd.readouterr())
    ]
    places += [
        file.read_bytes().decode("latin-1") for file in config.data_dir.iterdir() if file.is_file()
    ]
    places += [part.decode("latin-1") for _, part in contents_of(config.database)]
    assert len(places) > 20
    assert [
        (secret, place[:200]) for secret in secrets for place in places if secret in place
    ] == []


def without_cookies(response) -> str:
    """Return the headers without the session cookie, which contains its own secret."""
    return str([(name, text) for name, text in response.headers if name != "Set-Cookie"])


def test_a_form_that_survives_a_sign_in_shows_no_secret(watch):
    Login.delete().execute()
    refused = watch.post("/channels", secret_form("http://127.0.0.1:9"))
    kept = re.search(r'name="typed" value="([^"]+)"', refused.text)[1]
    watch.post("/login", {"username": "ada", "password": "wrong", "typed": kept})
    back = watch.post("/login", {"username": "ada", "password": PASSWORD, "typed": kept})
    assert "Your edit is below" in back.text
    assert watch.found() == {}
