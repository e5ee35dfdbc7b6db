"""Give a running Tocsin a believable day, for the screenshots.

Channels, users, alerts and saves are made as people and monitoring systems make them, and the
worker delivers to receivers of the lab, and to two that break. Only what needs hours is written
into the database: copies of real deliveries in the hours before, and the counts of these hours.
"""

import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from channels import fields_in
from conftest import PASSWORD, Live
from markup import token_in
from receiver import Receiver, reply

from clock import DAY, HOUR, MINUTE, now_ms
from delivery.outbox.activity import bucket_of, hour_of

ROOT = Path(__file__).parent.parent
SECOND_PERSON = "grace"
WAIT_SECONDS = 60  # for the retry of a delivery, among others
SHOP = "Shop, on call"
DATA_TEAM = "Data team"
STATUS_PAGE = "Status page"
# The kind of each channel, and its matchers.
CHANNELS = {
    SHOP: ("webhook", 'team="shop"'),
    "Platform team": ("teams", 'team="platform"'),
    DATA_TEAM: ("slack", 'team="data"'),
    "Night shift": ("webhook", 'severity="critical"'),
    STATUS_PAGE: ("webhook", 'severity=~"critical|error"'),
    "Weekly report": ("webhook", 'team="platform"'),
    "Staging": ("webhook", 'team="staging"'),
}
# How many deliveries arrive in an hour at most.
BUSY = {SHOP: 9, "Platform team": 14, DATA_TEAM: 6, "Night shift": 4, STATUS_PAGE: 5}
TROUBLE_HOURS = 4  # of the status page


class Sample(NamedTuple):
    """An alert, which began some minutes ago."""

    name: str
    team: str
    severity: str
    instance: str
    minutes: int
    summary: str


DELIVERED = (
    Sample("HighLatency", "shop", "warning", "web-2", 30, "95 % of requests take 1.4 s"),
    Sample("QueueGrows", "shop", "error", "orders", 25, "4,812 orders wait"),
    Sample("NodeNotReady", "platform", "error", "node-7", 40, "The node does not report"),
    Sample("PodCrashLooping", "platform", "warning", "mailer-5", 20, "7 restarts in 10 minutes"),
    Sample("ImportLate", "data", "warning", "import-1", 45, "The import of 02:00 has not ended"),
    Sample("DatabaseDown", "shop", "critical", "db-1", 55, "No connection for 2 minutes"),
)
FAILED = (
    Sample("SlowSearch", "shop", "error", "search-1", 90, "A search takes 6 s"),
    Sample("NodeNotReady", "platform", "error", "node-3", 70, "The node does not report"),
)
NOW = (
    Sample("CheckoutErrors", "shop", "critical", "web-1", 12, "4.2 % of payments fail"),
    Sample("DiskFull", "platform", "critical", "db-2", 18, "/var is 93 % full"),
    Sample("CertificateExpires", "platform", "warning", "shop.example.com", 240, "In 6 days"),
    Sample("ReplicationLag", "data", "error", "db-3", 9, "The replica is 48 s behind"),
    Sample("ImportLate", "data", "warning", "import-4", 33, "The import of 21:00 has not ended"),
    Sample("BackupMissing", "platform", "info", "db-1", 180, "The last backup is 26 hours old"),
)
RECOVERED = NOW[0]

LAB_RECEIVER = "SELECT id FROM lab_receiver WHERE name = :name"
_AGE_VERSIONS = "UPDATE channel_version SET at = at - (4 - version) * 2 * :day"
_AGE_ALERTS = "UPDATE alert SET changed_at = changed_at - :ago"
_AGE_TROUBLE = "UPDATE channel SET trouble_since = trouble_since - :ago"
_COPY_DELIVERY = """
    INSERT INTO delivery (id, channel_id, alert_id, event, repeated, state, due_at, expires_at,
        attempts, claims, cause, created_at, settled_at, config_hash, snapshot, retries, not_found,
        opening, urgency)
    SELECT id - :ago * 1000000 + :number, :channel, alert_id, event, repeated, state, due_at - :ago,
        expires_at - :ago, attempts, claims, cause, created_at - :ago, settled_at - :ago,
        config_hash, snapshot, retries, not_found, opening, urgency
    FROM delivery WHERE id = :delivery"""
_COPY_ATTEMPTS = """
    INSERT INTO attempt (channel_id, delivery_id, number, purpose, at, config_hash, verdict, reason,
        actor, status, milliseconds, receiver, stages, excerpt, says)
    SELECT :channel, delivery_id - :ago * 1000000 + :number, number, purpose, at - :ago,
        config_hash, verdict, reason, actor, status, milliseconds, receiver, stages, excerpt, says
    FROM attempt WHERE delivery_id = :delivery"""
_ENDED = """
    SELECT channel_id, created_at, settled_at, state, attempts FROM delivery
    WHERE settled_at IS NOT NULL AND settled_at < :until"""
_COUNT = """
    INSERT INTO activity (hour, channel_id, delivered, retried, failed)
    VALUES (:hour, :channel, :delivered, :retried, :failed)"""
_COUNT_DELAY = "INSERT INTO delay_count (hour, bucket, number) VALUES (:hour, :bucket, :number)"


class Changing(Receiver):
    """A receiver that accepts messages until it breaks."""

    def __init__(self, accepts: bytes, refuses: Callable):
        super().__init__()
        self.script = reply(200, accepts)
        self.refuses = refuses

    def break_down(self) -> None:
        """Refuse messages from now on."""
        self.script = self.refuses


def make_history(server: Live, chat: Changing, status_page: Changing) -> dict[str, int]:
    """Make the channels, their versions and a day of deliveries; return the ids of the channels."""
    receivers = {DATA_TEAM: chat.url, STATUS_PAGE: status_page.url}
    channels = _create_channels(server, receivers)
    _add_person(server)
    other = server.sign_in(SECOND_PERSON)
    save(server, other, channels[SHOP], matchers='team=~"shop|orders"', retries="10s 1m")
    save(server, server.person, channels[SHOP], timeout="8")
    server.query(_AGE_VERSIONS, day=DAY)
    _open_and_close(server, DELIVERED)
    status_page.break_down()
    _open_and_close(server, FAILED)
    _write_hours_before(server, channels)
    chat.break_down()
    _set_responses(server, SHOP, "500, 200")
    _post(server, NOW, "open")
    _post(server, [RECOVERED], "closed")
    return channels


def _open_and_close(server: Live, samples: Sequence[Sample]) -> None:
    _post(server, samples, "open")
    _post(server, samples, "closed")


def _set_responses(server: Live, name: str, responses: str) -> None:
    [(receiver,)] = server.query(LAB_RECEIVER, name=name)
    form = {"answer": "sequence", "sequence": responses}
    _submit(server, f"/lab/{receiver}/response", **form)


def save(server: Live, person, channel_id: int, **changes) -> None:
    """Save the form of a channel with changes, as a person."""
    page = person.get(f"{server.url}/channels/{channel_id}/edit", timeout=5).text
    form = {**fields_in(page), **changes, "csrf_token": token_in(page)}
    url = f"{server.url}/channels/{channel_id}"
    response = person.post(url, form, timeout=5, allow_redirects=False)
    assert response.status_code == 303, response.text


def _create_channels(server: Live, receivers: dict[str, str]) -> dict[str, int]:
    """Create the channels; those without a receiver get one of the lab."""
    channels = {}
    for name, (kind, matchers) in CHANNELS.items():
        url = receivers.get(name) or _create_receiver(server, name)
        channels[name] = server.create_channel(url, name=name, kind=kind, matchers=matchers)
    _submit(server, f"/channels/{channels['Weekly report']}/pause")
    return channels


def _create_receiver(server: Live, name: str) -> str:
    """Create a receiver of the lab, and return its address."""
    page = _submit(server, "/lab", name=name, answer="200")
    return re.search(r"http://[\d.:]+/lab/in/[0-9a-f]{48}", page)[0]


def _submit(server: Live, path: str, **form) -> str:
    token = token_in(server.person.get(f"{server.url}/account", timeout=5).text)
    url = f"{server.url}{path}"
    response = server.person.post(url, {**form, "csrf_token": token}, timeout=5)
    assert response.ok, response.text
    return response.text


def _add_person(server: Live) -> None:
    command = [sys.executable, str(ROOT / "cli.py"), "user", "add", SECOND_PERSON]
    subprocess.run(
        [*command, "--role", "editor", "--password-stdin"],
        input=PASSWORD,
        text=True,
        check=True,
        capture_output=True,
        env={"TOCSIN_DATA_DIR": str(server.folder / "data")},
    )


def _post(server: Live, samples: Sequence[Sample], status: str) -> None:
    """Post alerts, and wait until the worker has sent them."""
    for sample in samples:
        labels = {"severity": sample.severity, "team": sample.team, "instance": sample.instance}
        began = datetime.now(UTC) - timedelta(minutes=sample.minutes)
        server.post_alert(
            name=sample.name,
            status=status,
            labels=labels,
            annotations={"summary": sample.summary},
            starts_at=began.isoformat(timespec="seconds"),
        )
    _wait_until_sent(server)


def _wait_until_sent(server: Live) -> None:
    """Wait until no delivery is under way."""
    deadline = time.monotonic() + WAIT_SECONDS
    statement = "SELECT count(*) FROM delivery WHERE state IN ('pending', 'sending')"
    while server.query(statement)[0][0]:
        assert time.monotonic() < deadline, "some deliveries are still under way"
        time.sleep(1)


def _write_hours_before(server: Live, channels: dict[str, int]) -> None:
    """Copy what was delivered, and what failed, into the hours before."""
    server.query(_AGE_ALERTS, ago=HOUR)
    server.query(_AGE_TROUBLE, ago=TROUBLE_HOURS * HOUR)
    sources = {}
    for state in ("delivered", "failed"):
        rows = server.query("SELECT id FROM delivery WHERE state = :state", state=state)
        sources[state] = [delivery for (delivery,) in rows]
    chance = random.Random(3)
    number = 0
    for hour in range(1, 24):
        for name, most in BUSY.items():
            is_broken = name == STATUS_PAGE and hour <= TROUBLE_HOURS
            state = "failed" if is_broken else "delivered"
            for _ in range(chance.randrange(most + 1)):
                number += 1
                copy = {
                    "number": number,
                    "delivery": chance.choice(sources[state]),
                    "channel": channels[name],
                    "ago": hour * HOUR + MINUTE + chance.randrange(30 * MINUTE),
                }
                for statement in (_COPY_DELIVERY, _COPY_ATTEMPTS):
                    server.query(statement, **copy)
    _count_hours(server)


def _count_hours(server: Live) -> None:
    """Count the copies, as the worker counts what it delivers."""
    counts: dict[tuple[int, int], Counter[str]] = {}
    delays: Counter[tuple[int, int]] = Counter()
    for channel, created_at, settled_at, state, attempts in server.query(
        _ENDED, until=now_ms() - HOUR
    ):
        hour = hour_of(settled_at)
        counts.setdefault((hour, channel), Counter()).update({state: 1, "retried": attempts - 1})
        if state == "delivered":
            delays[hour, bucket_of(settled_at - created_at)] += 1
    for (hour, channel), of_hour in counts.items():
        numbers = {name: of_hour[name] for name in ("delivered", "retried", "failed")}
        server.query(_COUNT, hour=hour, channel=channel, **numbers)
    for (hour, bucket), number in delays.items():
        server.query(_COUNT_DELAY, hour=hour, bucket=bucket, number=number)
