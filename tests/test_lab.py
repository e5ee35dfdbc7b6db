"""The lab: receivers and their addresses, responses, pages, live updates, and sample alerts."""

import ipaddress
import json
import re
import shutil

import pytest
from channels import create, fields_in, form_of, marks, message_at
from conftest import Live
from databases import ON_POSTGRESQL
from markup import token_in

import database
from clock import MINUTE, now_ms
from config import Config
from config.values import PARSERS
from database import schema
from delivery import outbox
from delivery.guard import exchange, lab, sockets
from delivery.guard.dns import Resolved
from delivery.kinds import kinds
from delivery.outcome import Reason
from delivery.response import Response
from delivery.settings import Settings
from models import Alert, Delivery, Fact, LabReceiver, LabRequest, Silence, db
from serving.held_connections import HOLD, Ending
from web.lab import responses
from web.lab.json_layout import lay_out
from web.lab.received import PACES, pace_after
from web.lab.receiving import MAX_REQUESTS
from web.lab.responses import MAX_RESPONSES, RESPONSES, UnknownResponse, parse_responses
from web.lab.views import MAX_RECEIVERS

ANONYMOUS = {"Host": "elsewhere.example", "Sec-Fetch-Site": "cross-site"}
SECRET = "whsec_MDEyMzQ1Njc4OWFiMDEyMzQ1Njc4OWFi"


@pytest.fixture
def own(app):
    """Return the ready-made receiver, which responds with 200 here."""
    db.connect(reuse_if_open=True)
    LabReceiver.update(responses="200").execute()
    return LabReceiver.get(LabReceiver.name == "Tour")


@pytest.fixture
def endpoint(app, own):
    """Return the addresses of the lab."""
    return app.extensions["tocsin"].policy.lab


@pytest.fixture
def url(endpoint, own):
    """Return the receiving address of the receiver."""
    return endpoint.origin + lab.PATH_PREFIX + own.path


@pytest.fixture
def endings():
    """Return the endings of the connections that the lab holds."""
    return []


@pytest.fixture
def post(app, own, endings):
    """Return a function that posts to a receiver without signing in."""

    def post(body=b"{}", path=lab.PATH_PREFIX + own.path, method="POST", holds=True, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        environ = {HOLD: endings.append} if holds else {}
        return app.test_client(use_cookies=False).open(
            path,
            method=method,
            data=body,
            headers={**ANONYMOUS, **headers},
            environ_overrides=environ,
        )

    return post


def respond(own, *names, restarts=0):
    """Set the responses of the receiver."""
    values = {"responses": ",".join(names), "restarts": restarts, "served": 0}
    LabReceiver.update(values).where(LabReceiver.id == own.id).execute()


# --- the receiving addresses ----------------------------------------------------------------------


def test_addresses_are_random_and_known_to_every_process(config, endpoint, url):
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/lab/in/[0-9a-f]{48}", url)
    assert lab.address(config) == endpoint
    assert Fact.select().where(Fact.name == "lab key").count() == 1
    created_elsewhere = lab.address(config).paths.new()
    assert lab.PATH_PREFIX + created_elsewhere in endpoint.paths
    assert created_elsewhere not in repr(endpoint)
    assert endpoint.paths.key not in repr(endpoint)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH"])
def test_every_method_of_a_channel_is_received_without_signing_in(post, method):
    assert post(method=method).status_code == 200
    assert LabRequest.get().method == method


def test_other_methods_are_refused(post):
    assert post(method="DELETE").status_code == 405


@pytest.mark.parametrize(
    "path", ["/lab/in/1", "/lab/in/é", "/lab/in/%00", "/lab/in/%ff", "/lab/in/", "/lab/in/a/b"]
)
def test_other_addresses_are_not_found(client, post, path):
    assert (post(path=path).status_code, client.get(path).status_code) == (404, 404)
    assert not LabRequest.select().count()


def test_an_address_of_the_lab_without_a_receiver_is_not_found(post, endpoint):
    response = post(path=lab.PATH_PREFIX + endpoint.paths.new())
    assert (response.status_code, "no such receiving address" in response.text) == (404, True)


def test_request_is_stored_and_credentials_are_masked(post):
    body = '{"überall": true}'.encode()
    post(
        body,
        Webhook_Id="msg_7",
        Authorization="Bearer s3cr3t-9876",
        Cookie="tocsin_8000=s3cr3t-abcd",
        X_Team="db",
    )
    row = LabRequest.get()
    headers = dict(json.loads(row.headers))
    assert (row.body, row.answered, row.response) == (body.decode(), 200, "200")
    assert (headers["Webhook-Id"], headers["X-Team"]) == ("msg_7", "db")
    assert (headers["Authorization"], headers["Cookie"]) == ("…", "…")
    assert "s3cr3t" not in row.headers


def test_stored_body_is_truncated_to_64_kib(post):
    assert post(b"a" * 300_000).status_code == 200
    assert LabRequest.get().body == "a" * 65_536


def test_only_the_latest_50_requests_of_each_receiver_are_stored(client, post, own):
    client.post("/lab", {"name": "Other"})
    other = LabReceiver.get(LabReceiver.name == "Other")
    post(b"of the other", path=lab.PATH_PREFIX + other.path)
    for number in range(MAX_REQUESTS + 3):
        post(str(number).encode())
    rows = LabRequest.select().where(LabRequest.receiver == own).order_by(LabRequest.id)
    assert [row.body for row in rows] == [str(number) for number in range(3, MAX_REQUESTS + 3)]
    assert LabRequest.get(LabRequest.receiver == other).body == "of the other"


def test_senders_are_not_rate_limited(app, post, monkeypatch):
    monkeypatch.setattr("web.auth.access.time.monotonic", lambda: 1000.0)
    monkeypatch.setattr("web.lab.receiving._store", lambda *_: None)
    assert {post().status_code for _ in range(310)} == {200}


# --- responses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status", "headers"),
    [
        ("200", 200, {}),
        ("500", 500, {}),
        ("429", 429, {"Retry-After": "15"}),
        ("error", 200, {"Content-Type": "application/json"}),
        ("redirect", 302, {"Location": "https://moved.example/hook"}),
    ],
)
def test_a_response_is_sent_and_stored(post, own, endings, name, status, headers):
    respond(own, name)
    response = post()
    assert response.status_code == status
    assert {header: response.headers[header] for header in headers} == headers
    row = LabRequest.get()
    assert (row.answered, row.response, endings) == (status, name, [])


@pytest.mark.parametrize(
    ("name", "ending", "status"),
    [
        ("never", Ending(35.0), 0),
        ("reset", Ending(is_reset=True), 0),
        ("slow", RESPONSES["slow"].ending, 200),
    ],
)
def test_the_server_holds_a_connection_without_a_thread(post, own, endings, name, ending, status):
    respond(own, name)
    post()
    assert endings == [ending]
    assert LabRequest.get().answered == status
    slow = RESPONSES["slow"].ending
    assert slow.seconds == 5
    assert slow.data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert slow.data.endswith(b"\r\n\r\nThe lab has received the request.\n")


@pytest.mark.parametrize("name", ["never", "reset", "slow"])
def test_a_server_that_cannot_hold_connections_says_so(post, own, name):
    respond(own, name)
    response = post(holds=False)
    assert (response.status_code, "cannot hold a connection" in response.text) == (503, True)
    assert LabRequest.get().answered == 503


def test_every_kind_that_judges_by_the_body_reports_the_error(client, own):
    error = RESPONSES["error"]
    exchange = Response(200, (("Content-Type", error.content_type),), error.body.encode())
    failing = [
        kind.label
        for kind in kinds().values()
        if kind.judge(exchange).reason == Reason.BODY_SAYS_ERROR
    ]
    assert {"Slack", "Telegram", "Discord", "PagerDuty"} <= set(failing)
    assert "Alertmanager" not in failing
    assert ", ".join(failing) in client.get(f"/lab/{own.id}").text


SEQUENCES = [
    (("500", "429", "200"), 0, [500, 429, 200, 200, 200]),
    (("500", "429", "200"), 1, [500, 429, 200, 500, 429]),
    (("500",), 1, [500, 500]),
    (("nonsense",), 0, [200, 200]),
]


@pytest.mark.parametrize(("names", "restarts", "statuses"), SEQUENCES)
def test_responses_are_sent_in_turn(post, own, names, restarts, statuses):
    respond(own, *names, restarts=restarts)
    assert [post().status_code for _ in statuses] == statuses


def test_each_receiver_has_its_own_turn(client, post, own):
    client.post("/lab", {"name": "Other", "answer": "sequence", "sequence": "500, 200"})
    other = lab.PATH_PREFIX + LabReceiver.get(LabReceiver.name == "Other").path
    respond(own, "429", "200")
    statuses = [post().status_code, post(path=other).status_code]
    statuses += [post(path=other).status_code, post().status_code]
    assert statuses == [429, 500, 200, 200]


def test_the_page_says_which_response_is_next_and_apply_begins_anew(client, post, own):
    page = f"/lab/{own.id}"
    form = {"answer": "sequence", "sequence": " 500 ,429\n200", "after": "restart"}
    assert client.post(f"{page}/response", form).status_code == 303
    assert "Response: 500, then 429, then 200, and starts over." in client.get(page).text
    post()
    assert "Next: <strong>429</strong>, 2 of 3." in client.get(page).text
    client.post(f"{page}/response", form)
    assert "Next: <strong>500</strong>, 1 of 3." in client.get(page).text
    client.post(f"{page}/response", {"answer": "slow", "after": "repeat"})
    assert "Response: 200 after 5 seconds." in client.get(page).text


WRONG_RESPONSES = [
    ({"answer": ""}, "answer", "Select one"),
    ({"answer": "404"}, "answer", "Select one"),
    ({"answer": "SLOW"}, "answer", "Select one"),
    ({"answer": "sequence", "sequence": ""}, "sequence", "Enter the responses in turn"),
    ({"answer": "sequence", "sequence": "500, 40<b>"}, "sequence", "“40<b>” is not a response."),
    ({"answer": "sequence", "sequence": "200 " * 11}, "sequence", "These are 11 responses"),
    ({"answer": "200", "after": "x"}, "after", "Select what follows"),
]


@pytest.mark.parametrize(("form", "field", "message"), WRONG_RESPONSES)
def test_wrong_responses_are_refused_with_a_message(client, post, own, form, field, message):
    response = client.post(f"/lab/{own.id}/response", {"after": "repeat", **form})
    assert response.status_code == 422
    assert message in message_at(response.text, field)
    assert post().status_code == 200


def test_a_sequence_has_at_most_ten_responses():
    assert len(parse_responses("slow," * MAX_RESPONSES)) == MAX_RESPONSES
    with pytest.raises(UnknownResponse, match="at most 10"):
        parse_responses("slow " * (MAX_RESPONSES + 1))


# --- receivers ------------------------------------------------------------------------------------


def test_a_receiver_is_created_with_an_address_of_its_own_and_deleted(client, post, own, endpoint):
    response = client.post("/lab", {"name": "  Slack that is down "})
    receiver = LabReceiver.get(LabReceiver.name == "Slack that is down")
    assert response.headers["Location"] == f"/lab/{receiver.id}"
    path = lab.PATH_PREFIX + receiver.path
    assert path in endpoint.paths
    assert receiver.path != own.path
    assert post(path=path).status_code == 200
    assert path in client.get("/lab").text
    assert client.post(f"/lab/{receiver.id}/delete").headers["Location"] == "/lab"
    assert post(path=path).status_code == 404
    assert LabRequest.select().count() == 0
    for page in (f"/lab/{receiver.id}", f"/lab/{receiver.id}/requests"):
        assert client.get(page).status_code == 404
    assert client.post(f"/lab/{receiver.id}/alert").status_code == 404


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Enter a name"),
        (" ", "Enter a name"),
        ("Tour", "already has this name"),
        ("a" * 101, "the maximum is 100"),
        ("a\u202eb", "control character"),
        ("\u2800", "no visible character"),
    ],
)
def test_a_wrong_name_is_refused_with_a_message(client, own, name, message):
    response = client.post("/lab", {"name": name})
    assert (response.status_code, message in message_at(response.text, "name")) == (422, True)
    assert LabReceiver.select().count() == 1


def test_there_are_at_most_20_receivers(client, own):
    for number in range(MAX_RECEIVERS - 1):
        assert client.post("/lab", {"name": f"R {number}"}).status_code == 303
    response = client.post("/lab", {"name": "One more"})
    assert "20 receivers already" in message_at(response.text, "name")
    assert LabReceiver.select().count() == MAX_RECEIVERS


def test_the_receiver_of_the_tour_can_be_created_again(client, own):
    client.post(f"/lab/{own.id}/delete")
    page = client.get("/lab").text
    assert "Create the receiver of the tour" in page
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page))
    assert client.post("/lab", hidden).status_code == 303
    again = LabReceiver.get()
    assert (again.name, again.responses, again.restarts) == ("Tour", "500,200", 1)
    assert 'id="start-tour"' in client.get("/lab").text


# --- the page of a receiver -----------------------------------------------------------------------


def test_page_shows_address_response_and_received_requests(client, post, own, url):
    post(b'{"name": "Disk full", "value": 1.10}', Webhook_Id="msg_7", X_Delivery_Attempt="3")
    page = client.get(f"/lab/{own.id}").text
    assert f'value="{url}"' in page
    for text in (
        "Response: 200 at once.",
        "POST at 20",
        "attempt 3",
        "responded 200",
        "Webhook-Id: msg_7",
        "{&#34;name&#34;: &#34;Disk full&#34;, &#34;value&#34;: 1.10}",
        "{\n  &#34;name&#34;: &#34;Disk full&#34;,\n  &#34;value&#34;: 1.10\n}",
    ):
        assert text in page


ANSWERS = {
    "slow": "responded 200 slowly",
    "never": "not answered",
    "reset": "connection reset",
    "error": "responded 200 with an error",
    "429": "responded 429",
}


@pytest.mark.parametrize(("name", "text"), ANSWERS.items())
def test_page_says_how_a_request_was_answered(client, post, own, name, text):
    respond(own, name)
    post()
    page = client.get(f"/lab/{own.id}").text
    assert f'data-response="{name}"' in page
    assert f">{text}</span>" in page


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":1.10,"b":[],"c":{}}', '{\n  "a": 1.10,\n  "b": [],\n  "c": {}\n}'),
        (
            '[1,[2,{"x":"y,:\\"{"}]]',
            '[\n  1,\n  [\n    2,\n    {\n      "x": "y,:\\"{"\n    }\n  ]\n]',
        ),
        (" [ ] ", "[]"),
        ("1e400", "1e400"),
        ('"a  b"', '"a  b"'),
        ("", ""),
        ("{", ""),
        ("NaN", ""),
        ("a=b", ""),
        ("[" * 1000 + "]" * 1000, ""),
    ],
)
def test_json_is_laid_out_and_otherwise_as_received(text, expected):
    assert lay_out(text) == expected


def test_a_long_body_is_shown_in_part(client, post, own):
    post(b"a" * 40_000)
    page = client.get(f"/lab/{own.id}").text
    assert "its first 16 KB" in page
    assert "a" * 16_384 in page
    assert "a" * 16_385 not in page


HOSTILE = [
    "</pre><script>alert(1)</script>",
    "</details></li></ul><form action=/lab/forget>",
    '{"</pre><script>alert(1)</script>": "\\u0000"}',
    "\x00\x1b[31m\u202e",
    "\xff\xfe",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_escaped(client, post, own, text):
    raw = text.encode("latin-1", "replace")
    assert post(raw, X_Text=raw.decode("latin-1"), Webhook_Id="msg_" + "9" * 19).status_code == 200
    post(text.encode())
    page = client.get(f"/lab/{own.id}").text
    assert "<script>alert" not in page
    assert "<form action=/lab/forget>" not in page


@pytest.mark.parametrize("headers", ["", "nonsense", "{}", "[1]", '[["a"]]', "null", '{"a": 1}'])
def test_damaged_row_is_shown_without_headers(client, own, headers):
    columns = {"method": "POST", "headers": headers, "body": "whole", "answered": 200}
    LabRequest.create(at=2**60, receiver=own, response="nonsense", **columns)
    page = client.get(f"/lab/{own.id}")
    assert (page.status_code, "whole" in page.text) == (200, True)


def test_received_requests_can_be_cleared(client, post, own):
    post()
    assert client.post(f"/lab/{own.id}/clear").status_code == 303
    assert "No requests yet" in client.get(f"/lab/{own.id}").text
    assert not LabRequest.select().exists()


CHANGES = ("", "/{0}/response", "/{0}/signature", "/{0}/alert", "/{0}/clear", "/{0}/delete")


def test_viewer_sees_requests_but_neither_address_nor_buttons(viewer, post, own):
    post(b"request body")
    pages = viewer.get("/lab").text + viewer.get(f"/lab/{own.id}").text
    assert "request body" in pages
    assert own.path not in pages
    assert not re.search(r'<form[^>]*action="/lab', pages)
    for change in CHANGES:
        response = viewer.post(f"/lab{change.format(own.id)}", {"name": "x", "answer": "500"})
        assert (response.status_code, "viewer" in response.text) == (403, True)
    assert (post().status_code, LabRequest.select().count()) == (200, 2)


# --- live updates ---------------------------------------------------------------------------------


def poll_of(html):
    """Return the address that a page asks for new requests; None if it asks no more."""
    found = re.search(r'id="live"[^>]* hx-get="([^"]+)"', html)
    return found and found[1].replace("&amp;", "&")


def test_new_requests_are_appended_and_nothing_is_sent_without_any(client, post, own):
    post(b"first")
    poll = poll_of(client.get(f"/lab/{own.id}").text)
    assert (client.get(poll).status_code, client.get(poll).data) == (204, b"")
    post(b"second")
    post(b"third")
    update = client.get(poll).text
    assert re.findall("first|second|third", update) == ["third", "second"]
    assert "2 new requests." in update
    assert 'id="responds" hx-swap-oob="outerHTML"' in update
    assert client.get(poll_of(update)).status_code == 204


def test_a_poll_without_news_is_one_query(client, post, own, monkeypatch):
    post()
    poll = poll_of(client.get(f"/lab/{own.id}").text)
    statements = []
    execute = type(db.obj).execute_sql

    def record(self, sql, *arguments):
        statements.append(sql)
        return execute(self, sql, *arguments)

    monkeypatch.setattr(type(db.obj), "execute_sql", record)
    assert client.get(poll).status_code == 204
    assert len([sql for sql in statements if "lab_re" in sql]) == 1
    assert len(statements) == 2  # and the one that finds the user


@pytest.mark.parametrize(
    ("quiet", "seconds"),
    [
        (0, 2),
        (2 * MINUTE - 1, 2),
        (2 * MINUTE, 15),
        (30 * MINUTE - 1, 15),
        (30 * MINUTE, 0),
        (-1, 2),
        (-MINUTE, 0),
    ],
)
def test_a_quiet_page_asks_less_and_less(quiet, seconds):
    assert pace_after(quiet) == seconds


def test_a_page_that_stays_quiet_stops_asking(client, own, monkeypatch):
    poll = poll_of(client.get(f"/lab/{own.id}").text)
    assert "pace=2" in poll
    now = now_ms()
    for until, _seconds in PACES:
        assert client.get(poll).status_code == 204
        monkeypatch.setattr("web.lab.views.now_ms", lambda until=until: now + until + 1000)
        update = client.get(poll).text
        poll = poll_of(update)
    assert poll is None
    assert "Reload the page" in update


@pytest.mark.parametrize("query", ["", "?after=x&since=&pace=", "?after=" + "9" * 40, "?since=-1"])
def test_a_wrong_poll_gets_no_further_one(client, own, query):
    response = client.get(f"/lab/{own.id}/requests{query}")
    assert (response.status_code, poll_of(response.text)) == (200, None)


def test_the_id_of_a_delivery_is_a_link_to_it(client, post, own):
    columns = {"name": "n", "status": "open", "body": "{}", "changed_at": 1, "seen_at": 1}
    alert = Alert.create(key="k", **columns)
    times = {"due_at": 1, "expires_at": 1, "created_at": 1}
    Delivery.create(
        id=7, channel=create(client), alert=alert, event="open", state="failed", **times
    )
    for message_id in ("msg_7", "msg_8", "msg_x", "7", "msg_" + "9" * 19):
        post(Webhook_Id=message_id)
    links = re.findall(r'href="(/deliveries/msg_[^"]*)"', client.get(f"/lab/{own.id}").text)
    assert links == ["/deliveries/msg_7"]


# --- the sample alert -----------------------------------------------------------------------------


def page_of(client, own):
    return client.get(f"/lab/{own.id}").text


def channels_named(page):
    """Return the value with which the button of a page sends the alert."""
    return re.search(r'name="channels" value="([^"]*)"', page)[1]


@pytest.fixture
def tour_channel(client, url):
    """Create the channel of the tour; return its id."""
    return create(client, url, name="Tour", matchers='lab="Tour"')


def test_link_creates_a_channel_for_a_receiver(client, own, url):
    link = re.search(r'href="(/channels/new[^"]+)"', page_of(client, own))[1]
    form = fields_in(client.get(link.replace("&amp;", "&")).text)
    assert (form["kind"], form["url"]) == ("webhook", url)
    assert (form["name"], form["matchers"]) == ("Tour", 'lab="Tour"')
    create(client, name="Tour")
    form = fields_in(client.get(link.replace("&amp;", "&")).text)
    assert form["name"] == "Tour (copy)"


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/", "", "http://127.0.0.1:8000/lab/in/1", "/lab/in/"]
)
def test_link_fills_in_no_other_url(client, url):
    query = {"kind": "webhook", "url": url, "name": "n", "matchers": 'a="b"'}
    form = fields_in(client.get("/channels/new", query_string=query).text)
    assert (form["url"], form["name"], form["matchers"]) == ("", "", "")


def test_without_a_channel_there_is_no_alert_to_send(client, own):
    page = page_of(client, own)
    assert "No channel matches it yet." in page
    assert 'id="send-alert"' not in page
    assert client.post(f"/lab/{own.id}/alert", {"channels": ""}).status_code == 303
    assert "nothing was sent" in page_of(client, own)
    assert not Alert.select().exists()


def test_the_page_says_where_the_alert_goes_before_it_is_sent(client, own, tour_channel):
    page = page_of(client, own)
    assert "Not only to this receiver" not in page
    everything = create(client, name="On-call <b>")
    create(client, name="Others", matchers='team="db"')
    page = page_of(client, own)
    assert "Not only to this receiver:</strong> <bdi>On-call &lt;b&gt;</bdi> matches" in page
    assert "Others" not in page
    assert channels_named(page) == f"{tour_channel},{everything}"


def test_the_alert_is_stored_for_the_channels_that_match_and_begins_the_sequence(
    client, post, own, tour_channel
):
    respond(own, "500", "200", restarts=1)
    post()
    create(client, name="Others", matchers='team="db"')
    form = {"channels": channels_named(page_of(client, own))}
    assert client.post(f"/lab/{own.id}/alert", form).headers["Location"] == f"/lab/{own.id}"
    alert = Alert.get()
    labels = json.loads(alert.body)["labels"]
    assert (alert.status, labels["lab"], labels["severity"]) == ("open", "Tour", "warning")
    assert 9 * MINUTE < alert.closes_at - now_ms() <= 10 * MINUTE
    assert [row.channel_id for row in Delivery.select()] == [tour_channel]
    assert post().status_code == 500
    client.post(f"/lab/{own.id}/alert", form)
    assert (Alert.select().count(), Delivery.select().count()) == (2, 2)


def test_nothing_is_sent_to_channels_that_the_page_did_not_name(client, own, tour_channel):
    form = {"channels": channels_named(page_of(client, own))}
    create(client, name="On-call")
    client.post(f"/lab/{own.id}/alert", form)
    assert "other channels than this page said" in page_of(client, own)
    assert not Alert.select().exists()


def test_a_silence_and_a_paused_channel_are_named(client, own, tour_channel):
    client.post(f"/channels/{tour_channel}/pause")
    times = {"created_at": 1, "until": now_ms() + MINUTE}
    Silence.create(matchers='lab="Tour"', reason="work", made_by="ada", **times)
    page = page_of(client, own)
    assert "(paused)" in page
    assert "A silence matches the alert" in page


def test_a_full_outbox_is_reported(client, own, tour_channel, monkeypatch):
    form = {"channels": channels_named(page_of(client, own))}
    monkeypatch.setattr(outbox.ingest, "is_full", lambda _now: True)
    client.post(f"/lab/{own.id}/alert", form)
    assert "Too many deliveries are waiting." in page_of(client, own)


# --- the version before ---------------------------------------------------------------------------


@pytest.fixture
def before(tmp_path, migrated, request, monkeypatch):
    """Yield the location of a database of the version before, which is open."""
    location = tmp_path / "before.db"
    if ON_POSTGRESQL:
        cluster = request.getfixturevalue("cluster")
        location = PARSERS["TOCSIN_DATABASE_URL"](cluster.create("before"))
    folder = tmp_path / "migrations"
    folder.mkdir()
    for file in database.MIGRATIONS.glob("*.py"):
        if file.name < "0011":
            shutil.copy(file, folder)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", folder)
        database.prepare(location)
    db.connect(reuse_if_open=True)
    yield location
    db.close()


@pytest.mark.parametrize(
    ("stored", "expected"), [("500", "500 at once"), ("slow", "200 after 5"), (None, "200 at once")]
)
def test_the_receiver_of_the_version_before_keeps_address_response_and_requests(
    before, stored, expected
):
    facts = {"lab": "0123456789abcdef" * 2}
    if stored:
        facts["lab answers"] = stored
    for name, value in facts.items():
        Fact.create(name=name, value=value)
    db.execute_sql(
        "INSERT INTO lab_request (at, method, headers, body, answered) "
        "VALUES (1, 'POST', '[]', 'earlier', 200)"
    )
    db.close()
    database.prepare(before)
    db.connect(reuse_if_open=True)
    first, tour = LabReceiver.select().order_by(LabReceiver.id)
    assert (first.name, first.path, tour.name) == ("Lab", facts["lab"], "Tour")
    assert LabRequest.get().receiver == first
    endpoint = lab.address(Config.from_env({"TOCSIN_DATA_DIR": "/nowhere"}))
    for receiver in (first, tour):
        assert endpoint.has_url(f"http://127.0.0.1:8000/lab/in/{receiver.path}")
    assert responses.Turn.of(first).described.startswith(expected)


# --- address policy -------------------------------------------------------------------------------

R = "/lab/in/<random>"  # <random> is replaced by the random part

OURS = [
    *(
        ("127.0.0.1:8000", f"http://127.0.0.1:8000{R}"),
        ("127.0.0.1:8000", f"HTTP://127.0.0.1:8000{R}?a=b#c"),
    ),
    *(("127.0.0.1:80", f"http://127.0.0.1{R}"), ("[::1]:8000", f"http://[::1]:8000{R}")),
    *(
        ("localhost:8000", f"http://localhost:8000{R}"),
        ("LocalHost:8000", f"http://LOCALHOST:8000{R}"),
    ),
    *(("0.0.0.0:8000", f"http://{host}:8000{R}") for host in ("127.0.0.1", "localhost", "0.0.0.0")),
    *(("[::]:8000", f"http://{host}:8000{R}") for host in ("127.0.0.1", "localhost", "[::1]")),
    *(
        ("192.168.7.7:8000", f"http://192.168.7.7:8000{R}"),
        ("tocsin.lan:8000", f"http://tocsin.lan:8000{R}"),
    ),
]
BOUND = "127.0.0.1:8000"
NEAR_MISSES = [
    *((BOUND, f"http://127.0.0.1{port}{R}") for port in (":8001", ":80", "", ":18000")),
    *(
        (BOUND, f"http://127.0.0.1:8000{path}")
        for path in ("", "/", "/lab", "/lab/in/", "/lab/in/1", "/api/v1/alerts")
    ),
    *(
        (BOUND, f"http://127.0.0.1:8000{path}")
        for path in (f"{R}/", f"{R}x", f"{R}/..", f"{R}/../../login", f"{R};a", f"/{R}")
    ),
    *(
        (BOUND, f"http://127.0.0.1:8000/lab/in/{path}<random>")
        for path in ("../in/", "./", "/", "%2e%2e/in/")
    ),
    *(
        (BOUND, f"http://127.0.0.1:8000{path}")
        for path in ("/lab%2Fin/<random>", "/LAB/in/<random>", "/lab/in%2f<random>")
    ),
    *(
        (BOUND, f"http://127.0.0.1:8000{path}")
        for path in (f"/x?{R}", f"{R}%20", f"{R}%00", f"/x/..{R}", "/lab/in/<upper>")
    ),
    *(
        (BOUND, f"http://127.0.0.1:8000/lab/in/{path}")
        for path in ("<forged>", "<random>0", "<first>0", "<unsigned>", "<signed by another>")
    ),
    *(
        (BOUND, f"http://{host}:8000{R}")
        for host in ("localhost", "localhost.", "a.localhost", "127.0.0.1.", "[::1]")
    ),
    *(
        (BOUND, f"http://{host}:8000{R}")
        for host in ("2130706433", "0x7f000001", "127.1", "0177.0.0.1", "0.0.0.0")
    ),
    *(
        (BOUND, f"http://{host}:8000{R}")
        for host in ("127.0.0.2", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "10.0.0.1")
    ),
    *(
        (BOUND, f"http://{host}:8000{R}")
        for host in ("rebound.example", "127.0.0.1.rebound.example")
    ),
    *(
        (BOUND, f"http://{user}127.0.0.1:8000{R}")
        for user in ("a@", "a:b@", "@", "127.0.0.1:8000@")
    ),
    *((BOUND, f"https://127.0.0.1:8000{R}"), ("127.0.0.1:443", f"https://127.0.0.1{R}")),
    *(
        ("localhost:8000", f"http://{host}:8000{R}")
        for host in ("127.0.0.1", "[::1]", "localhost.", "a.localhost")
    ),
    *(
        ("0.0.0.0:8000", f"http://{host}:8000{R}")
        for host in ("[::1]", "127.0.0.2", "[::]", "192.168.7.7", "localhost.")
    ),
    *(
        ("[::]:8000", f"http://{host}:8000{R}")
        for host in ("[::2]", "127.0.0.2", "0.0.0.0", "[::ffff:127.0.0.1]")
    ),
    *(
        ("tocsin.lan:8000", f"http://{host}:8000{R}")
        for host in ("127.0.0.1", "localhost", "tocsin.lan.", "a.tocsin.lan")
    ),
    *(
        ("169.254.169.254:8000", f"http://169.254.169.254:8000{R}"),
        (BOUND, f"http://127.0.0.1:8000{R}@169.254.169.254/"),
    ),
]


FIRST = "0123456789abcdef" * 2  # the random part of the version before


@pytest.fixture
def lab_policy(app, monkeypatch):
    """Return a function: the policy of a bind address, and the URL with the lab's random part."""
    Fact.create(name="lab", value=FIRST)
    monkeypatch.setattr(sockets, "resolve", _resolved)

    def lab_policy(bind, url):
        config = Config.from_env({"TOCSIN_BIND": bind, "TOCSIN_DATA_DIR": "/nowhere"})
        own = lab.address(config)
        random = own.paths.new()
        forged = random[:-1] + ("0" if random[-1] != "0" else "1")
        parts = {
            "<random>": random,
            "<upper>": random.upper(),
            "<forged>": forged,
            "<first>": FIRST,
            "<unsigned>": "0" * 48,
            "<signed by another>": lab.LabPaths("another key").new(),
        }
        for name, part in parts.items():
            url = url.replace(name, part)
        return exchange.Policy(lab=own), url

    return lab_policy


def _resolved(_exchange):
    """Resolve every name to this machine."""
    return Resolved(tuple(map(ipaddress.ip_address, ("::1", "127.0.0.1"))))


def connects_to(policy, url):
    """Return the addresses that may be connected to.

    Raises:
        ExchangeError: the policy blocks the URL.
    """
    settings = Settings(url=url)
    attempt = exchange.Exchange(settings.target, policy, settings)
    return [str(address) for address in sockets._permitted_addresses(attempt)]


def form_message(app, client, monkeypatch, policy, url):
    monkeypatch.setattr(app.extensions["tocsin"], "policy", policy)
    return client.post("/channels/new/validate/url", form_of(url)).text


@pytest.mark.parametrize(
    ("bind", "url"), [*OURS, ("127.0.0.1:8000", "http://127.0.0.1:8000/lab/in/<first>")]
)
def test_lab_address_needs_no_permission(app, client, monkeypatch, lab_policy, bind, url):
    policy, url = lab_policy(bind, url)
    assert form_message(app, client, monkeypatch, policy, url) == ""
    reached = connects_to(policy, url)
    assert set(reached) <= {"127.0.0.1", "::1", "0.0.0.0", "192.168.7.7"}
    assert ("::1" in reached) <= (bind.startswith("[") or "lan" in bind)


@pytest.mark.parametrize(("bind", "url"), NEAR_MISSES)
def test_similar_addresses_stay_blocked(app, client, monkeypatch, lab_policy, bind, url):
    policy, url = lab_policy(bind, url)
    target = Settings(url=url).target
    if target is None or target.address or "localhost" in target.host:  # the form resolves no names
        assert form_message(app, client, monkeypatch, policy, url)
    if target is not None:
        with pytest.raises(exchange.ExchangeError) as caught:
            connects_to(policy, url)
        assert caught.value.reason == "blocked_address"


# --- end to end -----------------------------------------------------------------------------------


def test_a_test_to_the_lab_needs_no_permission_in_any_process(tmp_path):
    server = Live(tmp_path, TOCSIN_ALLOW_NETWORKS="", TOCSIN_WORKERS="2")
    try:
        server.ready()
        person = server.person
        token = token_in(person.get(f"{server.url}/lab", timeout=5).text)
        form = {"csrf_token": token, "name": "Fresh", "answer": "200"}
        page = person.post(f"{server.url}/lab", form, timeout=5)
        url = re.search(r'id="address"[^>]* value="([^"]+)"', page.text)[1]
        form = {**form_of(url), "csrf_token": token}
        for _ in range(8):  # either web process
            tested = person.post(f"{server.url}/channels/new/test", form, timeout=5)
            assert marks(tested.text)["verdict"] == "delivered"
        refused = person.post(
            f"{server.url}/channels/new/test", {**form, "url": f"{url}0"}, timeout=5
        )
        message = message_at(refused.text, "url")
        assert (refused.status_code, "TOCSIN_ALLOW_NETWORKS" in message) == (422, True)
        person.close()  # an idle connection would delay the shutdown
    finally:
        assert server.stop() == 0
