"""A response is hostile text: pages show it escaped, bounded and visible, and never use it."""

import contextlib
import socket
import ssl
import threading
import time
import unicodedata
from html.parser import HTMLParser

import pytest
import trustme
from channels import create, form_of, marks, stored_form
from receiver import raw, reply

from config import Config
from delivery import sender
from delivery.alerts.samples import sample_alert
from delivery.event import Event
from delivery.guard.exchange import Policy
from delivery.message import build
from delivery.redaction import BLANK_LETTERS, escape_invisible
from delivery.settings import Settings
from models import Attempt, db
from web.channels.editor import MAX_TESTS_SHOWN

POLICY = Policy(Config.from_env({"TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8"}).allow)


class Page(HTMLParser):
    """The structure of a page outside `<pre>` (tags, ids, attribute names), and each `<pre>`."""

    def __init__(self, html):
        super().__init__()
        self.structure = []
        self.texts = {}
        self.label = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if self.label is not None:
            self.structure.append(f"<{tag}> within a <pre>")
        self.structure.append((tag, attributes.get("id"), *sorted(attributes)))
        if tag == "pre":
            self.label = attributes.get("aria-label", "")
            self.texts[self.label] = ""

    def handle_endtag(self, tag):
        self.label = None if tag == "pre" else self.label
        self.structure.append(f"</{tag}>")

    def handle_data(self, data):
        if self.label is not None:
            self.texts[self.label] += data

    def handle_comment(self, data):
        self.structure.append("a comment")


def invisible_in(text) -> set[str]:
    """Return the invisible characters of a text, and those that change its direction."""
    hidden = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs")
    return {
        letter
        for letter in set(text) - set("\n\t ")
        if unicodedata.category(letter) in hidden or letter in BLANK_LETTERS
    }


class TestRunner:
    """Send tests of one channel, for htmx and as a whole page."""

    def __init__(self, client, receiver):
        self.client = client
        self.receiver = receiver
        self.channel_id = create(client, receiver.url, timeout="2")
        self.form = stored_form(client, self.channel_id)
        # The list of the latest tests has its full length on all compared pages.
        row = {
            "purpose": "test",
            "at": 1,
            "config_hash": "",
            "verdict": "failed",
            "reason": "ok",
            "actor": "receiver",
        }
        row |= {"channel": self.channel_id, "milliseconds": 1, "receiver": "x"}
        Attempt.insert_many([row] * MAX_TESTS_SHOWN).execute()

    def test(self, script) -> list:
        """Return the fragment and the page of a test with this receiver script."""
        self.receiver.script = script
        path = f"/channels/{self.channel_id}/test"
        return [self.client.post(path, self.form, htmx=htmx) for htmx in (True, False)]

    def compare(self, hostile, plain) -> list[Page]:
        """Return the pages of a hostile response.

        They must equal those of a plain response, except inside `<pre>`.
        """
        expected = self.test(plain)
        actual = self.test(hostile)
        for ours, theirs in zip(expected, actual, strict=True):
            assert theirs.status_code == ours.status_code == 200
            assert headers_of(theirs) == headers_of(ours)
            assert Page(theirs.text).structure == Page(ours.text).structure
            assert invisible_in(theirs.text) <= invisible_in(ours.text)
            assert len(theirs.data) - len(ours.data) < 80_000
        return [Page(page.text) for page in actual]


def headers_of(response) -> list:
    """Return the headers of a response; only its length and the id of its request may differ."""
    own = ("Content-Length", "X-Request-ID")
    return [(name, value) for name, value in response.headers if name not in own]


def tags_of(response) -> list:
    """Return the first part of each entry of a page's structure."""
    return [entry[0] for entry in Page(response.text).structure]


@pytest.fixture
def bench(client, receiver):
    return TestRunner(client, receiver)


BODY = "Body of the response"
HEADERS = "Headers of the response"

# --- bodies ---------------------------------------------------------------------------------------

TEXTS = {
    "a script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "closing tags of the page": "</pre></details></section></main></body></html><h1>Pwned</h1>",
    "quotes that break attributes": "\" autofocus onfocus=alert(1) x=\"' onclick='alert(1)' `",
    "comments and CDATA": "<!-- --><!--><![CDATA[x]]><?php ?><!doctype html>",
    "entities": "&lt;script&gt; &amp;lt; &#60;b&#62; &nbsp;",
    "template syntax of Tocsin": "{{ 7*7 }}{% raw %}{{ config }} %s %(x)s {0} {detail} ${x}",
    "htmx attributes": (
        '<div hx-get="/channels" hx-trigger="load" hx-swap-oob="true" '
        'data-hx-post="/channels/1/delete"></div>'
    ),
    "elements of Tocsin's pages": (
        '<section id="test-result" data-verdict="x"></section><p id="url-error" '
        'hx-swap-oob="true">x</p>'
    ),
    "templates and parts of htmx": (
        '<template><hx-partial hx-target="#channel-form">x</hx-partial></template><title>x</title>'
    ),
    "a form of Tocsin's pages": (
        '<form id="channel-form" action="//evil.example/"><input name="csrf_token"></form>'
        "<base href=x>"
    ),
    "an escape of the terminal": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b31m",
    "bidi": "\u202eevil\u202c \u2066x\u2069 \u200f\u200e\u061c",
    "zero width": "a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg\u180eh\u3164i\u115fj\u2800k",
    "tags and private letters": "a\U000e0041b\ue000c\U0010fffdd\U000f0000e",
    "line ends": "a\rb\x0bc\x0cd\x85e\u2028f\u2029g",
    "blanks": "a\xa0b\u2003c\u2009d\u202fe\u205ff\u1680g",
    "NUL": "a\x00b\x00",
    "a byte order mark": "\ufefftext",
    "an error message of Tocsin": "Answered by Tocsin itself, with status 500.",
    "a long line": "<" * 300_000,
    "a thousand lines": "<br>\n" * 1000,
    "only blanks": " \t ",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_body_is_shown_as_text_and_leaves_the_page_unchanged(bench, name):
    text = TEXTS[name]
    plain = reply(500, b"a" * min(len(text.encode()), 300_000), Content_Type="text/plain")
    for page in bench.compare(reply(500, text.encode(), Content_Type="text/html"), plain):
        shown = page.texts[BODY]
        assert 0 < len(shown) <= 4000
        assert shown == escape_invisible(text)[:4000]


@pytest.mark.parametrize(
    "text",
    ["a\u034fb", "a\u17b4b", "a\u2065b", "a\ufff0b", "a\U000e0100b"],
    ids=lambda text: f"U+{ord(text[1]):04X}",
)
def test_default_ignorable_characters_are_escaped(text):
    # Default_Ignorable_Code_Point without format characters and the selector of emoji.
    assert text[1] not in escape_invisible(text)


BYTES = {
    "binary": bytes(range(256)),
    "half a letter": b"caf\xc3",
    "overlong": b"\xc0\xbcscript\xc0\xbe",
    "surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "a picture": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
}
CHARSETS = [
    "utf-7",
    "utf-16",
    "utf-16-le",
    "utf-32",
    "utf-8-sig",
    "latin-1",
    "windows-1252",
    "shift_jis",
    "gb18030",
    "cp037",
]
CHARSETS += [
    "unicode_escape",
    "raw_unicode_escape",
    "rot13",
    "idna",
    "punycode",
    "hex",
    "base64",
    "zlib",
    "bz2",
    "uu",
    "quopri",
]
CHARSETS += [
    "undefined",
    "mbcs",
    "oem",
    "charmap",
    "string_escape",
    "palmos",
    "iso2022_jp",
    "hz",
    "aliases",
    "..",
    "os",
    "a" * 1000,
]
CHARSETS += [
    '"',
    "'utf-8",
    "utf-8; charset=utf-16",
    "",
    "\xff\xfe",
    "<script>",
    "%s",
    "u\x00tf-8",
    "utf-8\x00",
    "utf_8:x/../y",
]
ESCAPES = (
    b"+ADw-script+AD4- \\x3cscript\\x3e \\q \\ud800 \\N{BULLET} xn--80ak6aa92e.com "
    b"bcher-kva \x00\xff<script>"
)


@pytest.mark.parametrize("name", BYTES)
def test_undecodable_bytes_are_replaced(bench, name):
    for page in bench.compare(raw(response(BYTES[name])), reply(500, b"plain", Content_Type="x")):
        assert page.texts[BODY] == escape_invisible(BYTES[name].decode("utf-8", "replace"))


def response(body: bytes, charset: bytes = b"utf-8", status: bytes = b"500 Oops") -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: text/html; charset=%s\r\nContent-Length: %d\r\n\r\n"
    return head % (status, charset, len(body)) + body


def send(requests_mock, body, charset):
    """Send to a receiver that responds with this body, and return the outcome."""
    settings = Settings(url="https://receiver.example.test/", timeout=1)
    content_type = {"Content-Type": f"text/html; charset={charset}"}
    requests_mock.post(settings.url, status_code=500, content=body, headers=content_type)
    event = Event(sample_alert(1_790_000_000_000, "http://tocsin.test/"), 1, 1_790_000_000_000)
    return sender.send(build(settings, event), settings, POLICY).outcome


@pytest.mark.parametrize("charset", CHARSETS, ids=ascii)
def test_every_charset_gives_bounded_visible_text(requests_mock, charset):
    outcome = send(requests_mock, ESCAPES * 100, charset)
    assert (outcome.reason, outcome.status) == ("http_status", 500)
    assert 0 < len(outcome.excerpt) <= 4000
    assert invisible_in(outcome.excerpt) == set()


@pytest.mark.parametrize("charset", ["punycode", "idna", "utf-7", "unicode_escape", "hz"])
@pytest.mark.parametrize("unit", [b"a", b"xn--", b"-", b"\xff", b"\\N{", b"~{", b"+A"])
def test_no_charset_takes_longer_than_two_seconds(requests_mock, charset, unit):
    began = time.monotonic()
    outcome = send(requests_mock, unit * (16_000 // len(unit)), charset)
    assert outcome.reason == "http_status"
    assert time.monotonic() - began < 2


def test_a_body_in_another_charset_is_decoded_and_escaped(bench):
    text = "<b>é</b>\u202e"
    for page in bench.compare(
        raw(response(text.encode("utf-16"), b"utf-16")), reply(500, b"plain", Content_Type="x")
    ):
        assert page.texts[BODY] == "<b>é</b>\\u202e"


# --- heads ----------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n%s\r\n\r\nplain"
HEADS = {
    "htmx": (
        b'HX-Redirect: http://evil.example/\r\nHX-Trigger: {"x": 1}\r\nHX-Refresh: true\r\n'
        b"HX-Retarget: body"
    ),
    "more of htmx": (
        b"HX-Location: /x\r\nHX-Reswap: delete\r\nHX-Push-Url: /x\r\nHX-Replace-Url: /x\r\n"
        b"HX-Reselect: #x"
    ),
    "cookies": b"Set-Cookie: tocsin_8000=x; Path=/\r\nSet-Cookie: session=y\r\nClear-Site-Data: *",
    "policies": (
        b"Content-Security-Policy: default-src *\r\nX-Content-Type-Options: x\r\n"
        b"Referrer-Policy: unsafe-url"
    ),
    "a way elsewhere": (
        b"Location: http://evil.example/\r\nRefresh: 0;url=http://evil.example/\r\nLink: <x>; "
        b"rel=preload"
    ),
    "caching": (
        b"Cache-Control: public, max-age=99999\r\nVary: *\r\nETag: x\r\nExpires: 0\r\nAge: "
        b"1\r\nAllow: X"
    ),
    "other types": (
        b"Content-Type: text/html\r\nContent-Disposition: attachment\r\nContent-Language: "
        b"x\r\nServer: x\r\nDate: x"
    ),
    "cross-origin": (
        b"Access-Control-Allow-Origin: *\r\nCross-Origin-Opener-Policy: unsafe-none\r\nAlt-Svc: h3"
    ),
    "a value that is markup": b"X: <script>alert(1)</script>\"'><img src=x>",
    "a value that is odd": b"X: \x01\x1b[31m\x7f\x9b\xa0\xad\xff",
    "a value in UTF-8": "X: \u202eé\u200b".encode(),
    "a name that is markup": b"<img/src=x>\"': 1\r\n</pre><script>: 2",
    "a name of every sign": b"!#$%&'*+-.^_`|~<script>{{x}}: 1",
    "a folded value": b"X: a\r\n b\r\n\tHX-Redirect: y",
    "values with bare line ends": b"X: a\rHX-Redirect: b\rSet-Cookie: c=d",
    "a value with NUL": b"X: a\x00b",
    "a long value": b"X: " + b"<" * 40_000,
    "a long name": b"<" * 40_000 + b": x",
    "ninety headers": b"\r\n".join(b"X-%d: <b>%d</b>" % (number, number) for number in range(90)),
    "template syntax of Tocsin": b"X: {{ 7*7 }} {detail} %s %(x)s {0}",
}
STATUS_LINES = {
    "a phrase that is markup": b"500 <script>alert(1)</script>",
    "a phrase that is odd": b"500 \x1b[31m\xff\xad\x00\x9b",
    "a phrase with headers of ours": b"500 x\rHX-Redirect: y",
    "a long phrase": b"500 " + b"<" * 40_000,
    "no phrase": b"500",
}


@pytest.mark.parametrize("name", HEADS)
def test_response_headers_are_shown_and_never_copied(bench, name):
    for page in bench.compare(raw(HEAD % HEADS[name]), raw(HEAD % b"X: plain")):
        shown = page.texts[HEADERS]
        assert len(shown) <= 30 * (100 + 300 + 3)
        assert "Content-Length: 5\n" in shown
        assert page.texts[BODY] == "plain"


@pytest.mark.parametrize("name", STATUS_LINES)
def test_a_reason_phrase_is_not_shown(bench, name):
    pages = bench.compare(
        raw(response(b"plain", status=STATUS_LINES[name])), raw(response(b"plain"))
    )
    assert [page.texts[BODY] for page in pages] == ["plain", "plain"]


LOCATIONS = [
    b"javascript:alert(1)",
    b"<script>alert(1)</script>",
    b"http://x/\"'>",
    b"\xff\x1b[31m\xad",
    b"{detail} %s {0}",
]
LOCATIONS += [
    b"x" * 40_000,
    "http://x/\u202e".encode(),
    b"http://x/\r\n <b>",
    b"http://x/\rHX-Redirect: y",
]


@pytest.mark.parametrize("location", LOCATIONS, ids=lambda location: ascii(location[:20]))
def test_the_target_of_a_redirect_is_shown_as_text(bench, location):
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n"
    # A valid URL is suggested for the URL field; anything else is only shown.
    plain = (
        b"http://other.example/"
        if location in (b"http://x/\"'>", b"http://x/\rHX-Redirect: y")
        else b"elsewhere"
    )
    bench.compare(raw(head % location), raw(head % plain))


@pytest.mark.parametrize(
    "wait", [b"<script>", b"\xff", b"1\x00", b"9" * 5000, b"0.000000001", b"nan", b"-1"], ids=ascii
)
def test_an_invalid_retry_after_leaves_the_page_unchanged(bench, wait):
    head = b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\nRetry-After: %s\r\n\r\n"
    bench.compare(raw(head % wait), raw(head % b"5"))


def test_a_head_of_360_kb_is_too_large_and_not_shown(bench):
    many = b"".join(b"X-%d: %s\r\n" % (number, b"<script>" * 512) for number in range(90))
    hostile = raw(b"HTTP/1.1 200 OK\r\n" + many + b"Content-Length: 0\r\n\r\n")
    bench.compare(hostile, raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000))
    assert "too_large" in bench.test(hostile)[0].text


NONSENSE = {
    "markup instead of HTTP": b"<script>alert(1)</script>\r\n\r\n",
    "a status that is markup": b"HTTP/1.1 <b> OK\r\n\r\n",
    "a version that is markup": b"HTTP/<script> 200 OK\r\n\r\n",
    "odd bytes": b"\x00\xff\x1b[31m\r\n\r\n",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_a_response_that_is_not_http_is_not_shown(bench, name):
    bench.compare(raw(NONSENSE[name]), raw(b"SSH-2.0-OpenSSH_9\r\n"))


@pytest.mark.parametrize(
    "line",
    [b"<script>", b"\xff\x1b", b"-5", b"9" * 9000, b"1;x=<b>"],
    ids=lambda line: ascii(line[:9]),
)
def test_a_broken_chunk_line_is_not_shown(bench, line):
    head = b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nplain\r\n"
    hostile, plain = raw(head + line + b"\r\n"), raw(head + b"zz\r\n")
    for page in bench.compare(hostile, plain):
        assert page.texts[BODY] == "plain"


# --- certificates ---------------------------------------------------------------------------------


@contextlib.contextmanager
def secure(certificate):
    """Run a receiver that responds 500 over TLS with this certificate; yield its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server = socket.create_server(("127.0.0.1", 0))

    def run():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with (
                connection,
                contextlib.suppress(OSError),
                context.wrap_socket(connection, server_side=True) as wrapped,
            ):
                wrapped.recv(65536)
                wrapped.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nplain")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


ISSUER = '<script>\u202e\x1b[31m"\u200b</script>'


@pytest.mark.parametrize("trust", ["trusted", "not trusted", "not checked"])
@pytest.mark.parametrize("host", ["127.0.0.1", "other.example"])
@pytest.mark.parametrize("issuer", [ISSUER, "<" * 9000], ids=["odd", "long"])
def test_names_in_a_certificate_are_shown_as_text(client, trust, host, issuer):
    def pages(issuer):
        authority = trustme.CA(organization_name=issuer, organization_unit_name=issuer)
        pem = authority.cert_pem.bytes().decode() if trust == "trusted" else ""
        certificate = authority.issue_cert(host, organization_name=issuer)
        with secure(certificate) as port:
            form = form_of(
                f"https://127.0.0.1:{port}/hooks",
                ca_pem=pem,
                verify_tls="0" if trust == "not checked" else "1",
            )
            return [client.post("/channels/new/test", form, htmx=htmx) for htmx in (True, False)]

    expected = pages("Plain")
    actual = pages(issuer)
    # Only the fragments: a page also holds the authority of the channel.
    assert len(actual[0].text) - len(expected[0].text) < 5000
    for ours, theirs in zip(expected, actual, strict=True):
        assert marks(theirs.text)["reason"] == marks(ours.text)["reason"]
        assert Page(theirs.text).structure == Page(ours.text).structure
        assert invisible_in(theirs.text) <= invisible_in(ours.text)


# --- stored attempts ------------------------------------------------------------------------------

MARKUP = (
    "\"'></li></ul><script>alert(1)</script><p id=\"test-result\" hx-get='/x'>"
    "\u202e\x1b[31m{{ 7*7 }}"
)


def test_stored_hostile_responses_leave_the_edit_page_unchanged(bench):
    path = f"/channels/{bench.channel_id}/edit"
    bench.test(reply(500, b"plain"))
    before = bench.client.get(path)
    for text in list(TEXTS.values())[:8]:
        bench.test(
            reply(
                500,
                text.encode(),
                X=text.encode("ascii", "replace").decode()[:100],
                HX_Redirect="/x",
            )
        )
    after = bench.client.get(path)
    assert Attempt.select().where(Attempt.excerpt.contains("<script>")).count() > 0
    assert Page(after.text).structure == Page(before.text).structure
    assert headers_of(after) == headers_of(before)
    assert invisible_in(after.text) <= invisible_in(before.text)


@pytest.mark.parametrize(
    "column",
    ["verdict", "reason", "actor", "receiver", "stages", "excerpt", "config_hash", "purpose"],
)
@pytest.mark.parametrize("status", [500, None])
def test_a_damaged_or_hostile_stored_attempt_leaves_the_edit_page_intact(bench, column, status):
    bench.test(reply(500, b"plain"))
    db.execute_sql("UPDATE attempt SET status = ?", (status,))
    before = bench.client.get(f"/channels/{bench.channel_id}/edit")
    db.execute_sql(f"UPDATE attempt SET {column} = ?", (MARKUP if column != "purpose" else "test",))
    after = bench.client.get(f"/channels/{bench.channel_id}/edit")
    assert after.status_code == 200
    assert tags_of(after) == tags_of(before)
    assert "<script>alert" not in after.text
    assert headers_of(after) == headers_of(before)
