"""Lab: receiving address, responses, page, and the loopback address that needs no permission."""

import ipaddress
import json
import re
from dataclasses import replace

import pytest
from channels import fields_in, form_of, marks, message_at
from conftest import Live
from markup import token_in
from peewee import OperationalError

from config import Config
from delivery.guard import exchange, lab, sockets
from delivery.guard.dns import Resolved
from delivery.settings import Settings
from models import Fact, LabRequest
from web.lab import MAX_REQUESTS
from web.services import Services

ANONYMOUS = {"Host": "elsewhere.example", "Sec-Fetch-Site": "cross-site"}


@pytest.fixture
def own(app):
    """Return the lab's address."""
    return app.extensions["tocsin"].policy.lab


@pytest.fixture
def post(app, own):
    """Return a function that posts to the lab's address without signing in."""

    def post(body=b"{}", path=own.path, method="POST", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return app.test_client(use_cookies=False).open(
            path, method=method, data=body, headers={**ANONYMOUS, **headers}
        )

    return post


def select_response(client, answer):
    """Select the lab's response."""
    assert client.post("/lab", {"answer": answer}).status_code == 303


# --- the receiving address ------------------------------------------------------------------------


def test_address_is_generated_once_and_is_random(config, app, own):
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/lab/in/[0-9a-f]{32}", own.url)
    assert lab.address(config) == own
    assert Fact.select().where(Fact.name == "lab").count() == 1


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
    assert (row.body, row.answered) == (body.decode(), 200)
    assert (headers["Webhook-Id"], headers["X-Team"]) == ("msg_7", "db")
    assert (headers["Authorization"], headers["Cookie"]) == ("…9876", "…abcd")
    assert "s3cr3t" not in row.headers


def test_stored_body_is_truncated_to_64_kib(post):
    assert post(b"a" * 300_000).status_code == 200
    assert LabRequest.get().body == "a" * 65_536


def test_only_the_latest_50_requests_are_stored(post):
    for number in range(MAX_REQUESTS + 3):
        post(str(number).encode())
    bodies = [row.body for row in LabRequest.select().order_by(LabRequest.id)]
    assert bodies == [str(number) for number in range(3, MAX_REQUESTS + 3)]


def test_senders_are_not_rate_limited(app, post, monkeypatch):
    monkeypatch.setattr("web.auth.access.time.monotonic", lambda: 1000.0)
    monkeypatch.setattr("web.lab._respond", lambda *_: "")
    assert {post().status_code for _ in range(310)} == {200}


def test_selected_response_500_is_sent(client, post):
    select_response(client, "500")
    assert post().status_code == 500
    assert LabRequest.get().answered == 500


def test_selected_slow_response_waits_five_seconds(client, post, monkeypatch):
    delays = []
    monkeypatch.setattr("web.lab.time.sleep", delays.append)
    select_response(client, "slow")
    assert [post().status_code for _ in range(4)] == [200] * 4
    assert delays == [5.0] * 4


def test_third_concurrent_slow_response_is_refused_immediately(client, post, monkeypatch):
    statuses = []
    monkeypatch.setattr("web.lab.time.sleep", lambda _: statuses.append(post().status_code))
    select_response(client, "slow")
    assert post().status_code == 200
    assert statuses == [503, 200]
    assert [row.answered for row in LabRequest.select().order_by(LabRequest.id)] == [200, 200, 503]


def test_two_threads_leave_one_slow_response_slot(config, app):
    slots = Services(replace(config, threads=2)).slow_response_slots
    assert [slots.acquire(blocking=False) for _ in range(2)] == [True, False]


def test_interrupted_slow_response_releases_its_slot(client, post, monkeypatch):
    def broken(_seconds):
        raise OperationalError("disk I/O error")

    monkeypatch.setattr("web.lab.time.sleep", broken)
    select_response(client, "slow")
    assert [post().status_code for _ in range(3)] == [503] * 3
    monkeypatch.setattr("web.lab.time.sleep", lambda _: None)
    assert post().status_code == 200


def test_unknown_stored_response_becomes_200(app, post):
    Fact.create(name="lab answers", value="nonsense")
    assert post().status_code == 200


# --- the page -------------------------------------------------------------------------------------


def test_page_shows_address_responses_and_received_requests(client, post, own):
    post(b'{"name": "Disk full"}', Webhook_Id="msg_7", X_Delivery_Attempt="3")
    page = client.get("/lab").text
    assert f'value="{own.url}"' in page
    assert 'value="200" checked' in page
    for text in (
        "POST at 20",
        "attempt 3",
        "responded 200",
        "Webhook-Id: msg_7",
        "{&#34;name&#34;: &#34;Disk full&#34;}",
    ):
        assert text in page


HOSTILE = [
    "</pre><script>alert(1)</script>",
    "</details></li></ul><form action=/lab/forget>",
    "\x00\x1b[31m\u202e",
    "\xff\xfe",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_escaped(client, post, text):
    raw = text.encode("latin-1", "replace")
    assert post(raw, X_Text=raw.decode("latin-1")).status_code == 200
    post(text.encode())
    page = client.get("/lab").text
    assert "<script>alert" not in page
    assert "<form action=/lab/forget>" not in page


@pytest.mark.parametrize("headers", ["", "nonsense", "{}", "[1]", '[["a"]]', "null", '{"a": 1}'])
def test_damaged_row_is_shown_without_headers(client, headers):
    LabRequest.create(at=2**60, method="POST", headers=headers, body="whole", answered=200)
    page = client.get("/lab")
    assert (page.status_code, "whole" in page.text) == (200, True)


def test_received_requests_can_be_cleared(client, post):
    post()
    assert client.post("/lab/forget").status_code == 303
    assert "No requests yet" in client.get("/lab").text


@pytest.mark.parametrize("answer", ["", "404", "SLOW"])
def test_unknown_response_cannot_be_selected(client, post, answer):
    assert client.post("/lab", {"answer": answer}).status_code == 422
    assert post().status_code == 200


def test_viewer_sees_requests_but_neither_address_nor_buttons(viewer, post, own):
    post(b"request body")
    page = viewer.get("/lab").text
    assert "request body" in page
    assert own.path not in page
    assert "/lab/forget" not in page
    assert [
        viewer.post(path, {"answer": "500"}).status_code for path in ("/lab", "/lab/forget")
    ] == [403, 403]
    assert (post().status_code, LabRequest.select().count()) == (200, 2)


def test_link_creates_a_channel_for_the_lab(client, own):
    link = re.search(r'href="(/channels/new[^"]+)"', client.get("/lab").text)[1].replace(
        "&amp;", "&"
    )
    form = fields_in(client.get(link).text)
    assert (form["kind"], form["url"]) == ("webhook", own.url)


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/", "", "http://127.0.0.1:8000/lab/in/1"]
)
def test_link_fills_in_no_other_url(client, url):
    page = client.get("/channels/new", query_string={"kind": "webhook", "url": url})
    assert fields_in(page.text)["url"] == ""


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


@pytest.fixture
def lab_policy(app, monkeypatch):
    """Return a function: the policy of a bind address, and the URL with the lab's random part."""
    monkeypatch.setattr(sockets, "resolve", _resolved)

    def lab_policy(bind, url):
        config = Config.from_env({"TOCSIN_BIND": bind, "TOCSIN_DATA_DIR": "/nowhere"})
        own = lab.address(config)
        random = own.path.removeprefix("/lab/in/")
        url = url.replace("<random>", random).replace("<upper>", random.upper())
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


@pytest.mark.parametrize(("bind", "url"), OURS)
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


def test_repr_of_the_lab_endpoint_hides_its_random_part(own):
    assert own.path not in repr(own)


# --- end to end -----------------------------------------------------------------------------------


def test_first_test_send_to_the_lab_needs_no_permission(tmp_path):
    server = Live(tmp_path, TOCSIN_ALLOW_NETWORKS="")
    try:
        server.ready()
        person = server.person
        page = person.get(f"{server.url}/lab", timeout=5).text
        url = re.search(r'id="address"[^>]* value="([^"]+)"', page)[1]
        form = {**form_of(url), "csrf_token": token_in(page)}
        assert (
            marks(person.post(f"{server.url}/channels/new/test", form, timeout=5).text)["verdict"]
            == "delivered"
        )
        person.post(
            f"{server.url}/lab", {"csrf_token": form["csrf_token"], "answer": "500"}, timeout=5
        )
        tested = marks(person.post(f"{server.url}/channels/new/test", form, timeout=5).text)
        assert (tested["verdict"], tested["status"]) == ("retry", "500")
        refused = person.post(
            f"{server.url}/channels/new/test", {**form, "url": f"{url}/x"}, timeout=5
        )
        assert (
            refused.status_code,
            "TOCSIN_ALLOW_NETWORKS" in message_at(refused.text, "url"),
        ) == (422, True)
        assert len(re.findall("Webhook-Id: ", person.get(f"{server.url}/lab", timeout=5).text)) == 2
        person.close()  # an idle connection would delay the shutdown
    finally:
        assert server.stop() == 0
