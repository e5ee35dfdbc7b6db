"""Who is notified, over generated histories, against a simple model of the rules.

A history posts alerts, silences them, pauses and edits channels, kills workers, stops Tocsin
and moves the clock, while receivers fail as they like. The model looks only at what was posted and
at what left: `docs/notifications.md` has the rules. `TOCSIN_HISTORIES=2500` runs more histories.
"""

import json
import os
import sys
from dataclasses import dataclass, field, replace

import pytest
from attempts import answered
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from peewee import fn
from workers import numbers_taken

from clock import DAY, HOUR, MINUTE, SECOND
from delivery import outbox
from delivery import worker as worker_module
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.outbox import HeldChoice, ReplayChoice
from delivery.outbox.redelivery import end_digest
from delivery.outcome import Outcome, Reason, Verdict
from delivery.secrets.encryption import Keyring
from delivery.sender import SendResult
from delivery.settings import Header, Settings, write_settings
from delivery.worker import Worker
from models import Alert as AlertRow
from models import (
    Attempt,
    Channel,
    ChannelState,
    Delivery,
    Fact,
    Notification,
    SettledCount,
    Silence,
    db,
)

HISTORIES = int(os.environ.get("TOCSIN_HISTORIES", "50"))
STEPS = 40
WORKERS = (0, 1)  # at one outbox; the first one is the leader
START = 1_790_000_000_000
LONGEST_STEP = 10 * HOUR
RESOLVE_TIMEOUT = 5 * MINUTE
KEYS = ("disk", "fire", "expires")  # the last one closes unless it is posted again
SEVERITIES = ("warning", "critical")
# The matchers, the repeat interval in minutes and the labels of groups of each channel.
CHANNELS = {
    "all": ("", 0, ""),
    "critical": ('severity="critical"', 0, ""),
    "repeats": ("", 60, ""),
    "grouped": ("", 0, "cluster"),
}
GROUP_WAIT = 30
FALLBACK_AFTER = 10 * MINUTE
TROUBLE = "trouble"  # the key of the alert that the channel `all` is not getting through
MAX_CHANGES = 4
CALM = 10 * MINUTE
KINDS = ("custom", "pagerduty")
UNSETTLED = ("pending", "sending", "held")
TEMPLATE = {
    "incident": "{{ alert.key }}",
    "status": "{{ alert.status }}",
    "event": "{{ message.event }}",
    "alerts": "{{ alerts }}",
}

# The verdict on each answer, its reason, its status, and whether the request went out.
ANSWERS = {
    "arrives": (Verdict.DELIVERED, Reason.OK, 200, True),
    "bad request": (Verdict.FAILED, Reason.HTTP_STATUS, 400, True),
    "not found": (Verdict.FAILED, Reason.HTTP_STATUS, 404, True),
    "gone": (Verdict.GONE, Reason.HTTP_STATUS, 410, True),
    "busy": (Verdict.RETRY, Reason.HTTP_STATUS, 503, True),
    "refuses the connection": (Verdict.RETRY, Reason.CONNECT_REFUSED, None, False),
    "no answer": (Verdict.RETRY, Reason.TIMEOUT_TOTAL, None, True),
}
# Whether the receiver got the message after an answer; after any other one it did not.
CERTAINTIES = {"arrives": "surely", "no answer": "maybe"}


def outcome_of(answer: str) -> Outcome:
    verdict, reason, status, sent = ANSWERS[answer]
    return answered(verdict, reason, status, sent=sent)


# --- the model ------------------------------------------------------------------------------


@dataclass
class ModelAlert:
    """An alert as its source posted it. `change` counts what must be notified."""

    is_open: bool = False
    severity: str = ""
    period: int = 0
    change: int = 0
    closes_at: int | None = None


TROUBLED = ModelAlert(is_open=True, severity="critical")


@dataclass
class Notice:
    """What a message says of one alert, and the alert's period and change when it left."""

    key: str
    event: str
    severity: str
    period: int
    change: int
    is_flapping: bool


@dataclass
class Message:
    """A message that left: what the receiver reads in it about one alert, or those of a group."""

    channel: "ModelChannel"
    id: str
    incident: str
    notices: list[Notice]
    first_created_at: int
    is_replayed: bool = False

    @property
    def is_digest(self) -> bool:
        return "-group-digest-" in self.incident


@dataclass
class ModelChannel:
    """A channel as its user configured it, and what its receiver got."""

    id: int
    matchers: str
    repeat_minutes: int
    group_by: str
    kind: str = "custom"
    version: int = 0
    is_paused: bool = False
    drops: bool = False
    answer: str = "arrives"
    delivering_since: int = START
    told: dict[str, str] = field(default_factory=dict)  # key: "surely" or "maybe"
    shown: dict[str, tuple] = field(default_factory=dict)  # key: period and severity that arrived
    stopped: dict[str, int] = field(default_factory=dict)  # key: the change that a silence stops
    arrived: dict[tuple, str] = field(default_factory=dict)  # key and change: id
    bodies: dict[tuple, str] = field(default_factory=dict)  # id and version: body
    incidents: dict[str, str] = field(default_factory=dict)  # key: the incident that may be open
    resolved: dict[str, str] = field(default_factory=dict)  # incident: id of its resolution
    changes: dict[str, list[int]] = field(default_factory=dict)  # key: times of the last ones
    asked_again: set[str] = field(default_factory=set)  # keys of a replay, which may be silenced
    may_flap: set[str] = field(default_factory=set)  # keys that have changed too often
    failed_at: int | None = None  # the first attempt that failed

    @property
    def url(self) -> str:
        return f"http://receiver.test/{self.id}/v{self.version:04}"

    @property
    def secret(self) -> str:
        return f"secret-of-version-{self.version:04}-of-{self.id}"

    def wants(self, alert: ModelAlert) -> bool:
        return alert.is_open and (not self.matchers or alert.severity == "critical")


def read_message(kind: str, body: str) -> tuple[str, str, dict[str, tuple[str, str]]]:
    """Return the key of the incident, its event, and what a receiver reads about its alerts.

    That is the status and the severity by the number of the alert; of a PagerDuty incident, they
    are not known one by one.
    """
    message = json.loads(body)
    if kind == "custom":
        alerts = {one["id"]: (one["status"], one["severity"]) for one in message["alerts"]}
        return message["incident"], message["status"], alerts
    event = "closed" if message["event_action"] == "resolve" else "open"
    return message["dedup_key"], event, {}


# --- the world that the model watches ---------------------------------------------------------


class Pool:
    """A pool that runs a job at once; while the receivers hang, it runs none."""

    def __init__(self, on_hang):
        self.is_hanging = False
        self.hanging = []
        self._on_hang = on_hang

    @property
    def count(self):
        return sum(len(run.messages) for _, run in self.hanging)

    def submit(self, job, run):
        if self.is_hanging:
            for prepared in run.messages:
                self._on_hang(prepared)
            self.hanging.append((job, run))
        else:
            job(run)


class Histories(RuleBasedStateMachine):
    """Tocsin and the model, side by side."""

    config = None

    def __init__(self):
        super().__init__()
        for table in (Notification, Attempt, Delivery, AlertRow, Silence, Channel):
            table.delete().execute()
        Fact.delete().where(Fact.name == "listening until").execute()
        self.now = START
        self.keyring = Keyring(self.config.encryption_keys)
        self.alerts = {key: ModelAlert() for key in KEYS}
        self.numbers: dict[str, str] = {}  # the alert's number in messages: its key
        self.silences: dict[int, tuple[str, int]] = {}  # id: key or "", end
        self.in_flight: dict[str, Message] = {}
        self.replayed: dict[int, int] = {}  # the time at which a delivery was sent again
        self.messages: dict[str, Message] = {}  # the last one with each id
        self.lost_answers: set[str] = set()  # ids of messages that a kill made uncertain
        self.channels: dict[int, ModelChannel] = {}
        for name, (matchers, repeat_minutes, group_by) in CHANNELS.items():
            row = Channel.create(
                name=name,
                kind="",
                matchers=matchers,
                repeat_minutes=repeat_minutes,
                group_by=group_by,
                group_wait=GROUP_WAIT,
                created_at=START,
                updated_at=START,
            )
            self.channels[row.id] = ModelChannel(row.id, matchers, repeat_minutes, group_by)
            self.configure(self.channels[row.id], "custom")
        first, second = list(self.channels)[:2]
        Channel.update(fallback_id=second).where(Channel.id == first).execute()
        worker_module.send = self.send
        outbox.report_listening(self.now)
        self.workers = {}
        for number in WORKERS:
            self.start_worker(number)

    def start_worker(self, number):
        worker = Worker(
            replace(self.config, senders=len(WORKERS)),
            number,
            clock=lambda: self.now / 1000,
            monotonic=lambda: self.now / 1000,
            rng=lambda: 0.5,
        )
        worker._runs.pool.shutdown()
        worker._runs.pool = Pool(self.leave)
        worker._wait_seconds = lambda _timeout: 0.0
        self.workers[number] = worker
        worker.begin()

    def end_worker(self, number):
        self.workers[number].close()

    def configure(self, channel, kind):
        """Save a channel as the editor does, with a new version in its URL and its secret."""
        self.note_failing_channels()
        channel.kind = kind
        channel.version += 1
        values = {"kind": kind, "url": channel.url, "timeout": 5}
        if kind == "pagerduty":
            values["options"] = (Header("routing_key", channel.secret, True),)
        else:
            values["body"] = json.dumps({**TEMPLATE, "secret": channel.secret})
        with db.atomic():
            row = Channel.get_by_id(channel.id)
            write_settings(row, Settings(**values), self.keyring, self.config.secret_key)
            row.version += 1
            row.updated_at = self.now
            failing = row.state == ChannelState.FAILING
            if failing:
                row.state = ChannelState.DELIVERING
            row.save()
            if failing:
                outbox.release(channel.id, self.now)
            outbox.send_now(channel.id, self.now)
            outbox.separate(channel.id)
            outbox.review_channel(channel.id, self.now)

    # --- what happens ---

    @rule(key=st.sampled_from(KEYS), severity=st.sampled_from(SEVERITIES), then_work=st.booleans())
    def post_open(self, key, severity, then_work, closes_in=RESOLVE_TIMEOUT):
        self.now += 1  # no alert opens twice in a millisecond
        alert = self.alerts[key]
        before = alert.is_open, alert.severity
        if not alert.is_open:
            alert.is_open = True
            alert.period += 1
            alert.change += 1
        elif alert.severity != severity:
            alert.change += 1
        alert.severity = severity
        if key == "expires":
            alert.closes_at = self.now + closes_in
        self.note_change(key, before != (True, severity))
        self.store(key, "open", severity, alert.closes_at)
        for channel in self.channels.values():
            if channel.wants(alert) and self.is_silenced(key) and not channel.drops:
                channel.stopped[key] = alert.change
        if then_work:
            self.work()

    @rule(key=st.sampled_from(KEYS), then_work=st.booleans())
    def post_closed(self, key, then_work):
        alert = self.alerts[key]
        self.note_change(key, alert.is_open)
        alert.is_open = False
        alert.closes_at = None
        self.store(key, "closed", alert.severity, None)
        if then_work:
            self.work()

    def store(self, key, status, severity, closes_at):
        labels = {"severity": severity, "cluster": "eu"}
        parts = {"name": key, "status": status, "labels": labels}
        received = ReceivedAlert(key, Alert.from_json(parts), closes_at)
        [result] = outbox.store([received], self.now)
        self.numbers[str(result.id)] = key

    def note_change(self, key, has_changed):
        """Count the changes of an alert on the channels that it has concerned."""
        for channel in self.channels.values():
            if has_changed and (key in channel.changes or channel.wants(self.alerts[key])):
                earlier = channel.changes.get(key, [])
                recent = [at for at in earlier if self.now - at < CALM]
                channel.changes[key] = [*recent, self.now]
                if len(recent) >= MAX_CHANGES:
                    channel.may_flap.add(key)

    @rule(
        channel=st.integers(0, 3),
        answer=st.one_of(st.sampled_from(sorted(ANSWERS)), st.just("arrives")),
    )
    def change_answer(self, channel, answer):
        list(self.channels.values())[channel].answer = answer

    @rule(channel=st.integers(0, 3), kind=st.sampled_from(KINDS))
    def edit(self, channel, kind):
        self.configure(list(self.channels.values())[channel], kind)

    @rule(channel=st.integers(0, 3), drops=st.booleans())
    def pause(self, channel, drops):
        channel = list(self.channels.values())[channel]
        channel.is_paused = True
        channel.drops = drops
        if drops:
            channel.stopped.clear()
        outbox.pause(channel.id, drops, self.now)

    @rule(channel=st.integers(0, 3), choice=st.sampled_from([*HeldChoice, HeldChoice.DIGEST]))
    def resume(self, channel, choice):
        channel = list(self.channels.values())[channel]
        if choice == HeldChoice.DIGEST and channel.kind == "pagerduty":
            choice = HeldChoice.ALL  # the page offers no digest
        if choice == HeldChoice.NONE:
            channel.stopped.clear()
        outbox.resume(channel.id, choice, "ada", self.now)
        channel.is_paused = channel.drops = False
        channel.delivering_since = self.now

    @rule(key=st.sampled_from(["", *KEYS]), hours=st.sampled_from([1, 30]))
    def silence(self, key, hours):
        row = Silence.create(
            matchers=f'alertname=~"{key or ".*"}"',
            reason="Why",
            made_by="ada",
            created_at=self.now,
            until=self.now + hours * HOUR,
        )
        outbox.apply_silences(self.now)
        self.silences[row.id] = (key, row.until)

    @rule()
    def end_silences(self):
        for number, (key, until) in self.silences.items():
            if until > self.now:
                Silence.update(until=self.now).where(Silence.id == number).execute()
                outbox.end_silence(number, self.now)
                self.silences[number] = (key, self.now)

    @rule(choice=st.sampled_from(ReplayChoice))
    def replay(self, choice):
        """Send everything again that has ended, as a user may after a loss at the receivers."""
        with db.atomic():
            ids = [row.id for row in Delivery.select(Delivery.id)]
            ended = [row.id for row in Delivery.select().where(Delivery.settled_at.is_null(False))]
            digest = f"digest-{self.now}" if choice == ReplayChoice.DIGEST else ""
            outbox.redeliver(ids, choice, "ana", self.now, digest)
            end_digest(digest, self.now)
        again = Delivery.select().where(Delivery.id << ended, Delivery.settled_at.is_null())
        for row in again:
            self.replayed[row.id] = self.now
            key = self.numbers.get(str(row.alert_id), TROUBLE)
            channel = self.channels[row.channel_id]
            channel.asked_again.add(key)
            # What arrived is built again, from the alert as it is now.
            for message_id in (f"msg_{row.id}", f"msg_{row.message_id}"):
                channel.bodies.pop((message_id, channel.version), None)

    @rule(seconds=st.sampled_from([1, 11, 31, 121, 601, 3601, 7201, 36_001, 90_000]))
    def wait(self, seconds):
        """Let time pass while Tocsin listens."""
        self.now += seconds * SECOND
        outbox.report_listening(self.now, max_gap=0)

    @rule(order=st.permutations(WORKERS))
    def work(self, order=WORKERS):
        """Let the workers do everything that is due."""
        for _ in range(200):
            self.do_upkeep()
            busy = 0
            for worker in map(self.workers.get, order):
                busy += worker.run_once(0) + len(worker._in_flight) - worker._runs.pool.count
            if not busy:
                break
        else:
            raise AssertionError("the workers do not come to rest")
        self.note_closed_alerts()
        self.note_failing_channels()
        for channel in self.channels.values():
            for key in list(channel.stopped):
                if not self.is_silenced(key):
                    del channel.stopped[key]

    def do_upkeep(self):
        """Let the leader do what it does once a second."""
        leader = self.workers[0]
        leader._upkeep.ran_at = float("-inf")
        leader._upkeep.run(self.now)

    @rule(number=st.sampled_from(WORKERS))
    def let_receivers_hang(self, number):
        """Let messages of a worker leave whose answers come later."""
        self.do_upkeep()
        worker = self.workers[number]
        worker._runs.pool.is_hanging = True
        worker.run_once(0)
        self.note_closed_alerts()

    @rule()
    def let_receivers_answer(self):
        for worker in self.workers.values():
            pool = worker._runs.pool
            pool.is_hanging = False
            hanging = pool.hanging
            pool.hanging = []
            for job, run in hanging:
                job(run)

    @rule(
        key=st.sampled_from(KEYS),
        answer=st.sampled_from(sorted(ANSWERS)),
        number=st.sampled_from(WORKERS),
    )
    def close_during_the_attempts(self, key, answer, number):
        self.let_receivers_hang(number)
        self.post_closed(key, then_work=False)
        for channel in self.channels.values():
            channel.answer = answer
        self.let_receivers_answer()

    @rule(number=st.sampled_from(WORKERS))
    def kill_a_worker(self, number):
        """Kill a worker; nobody hears the answers to the messages that it has under way."""
        for message_id in self.workers[number]._in_flight:
            message = self.messages[f"msg_{message_id}"]
            self.in_flight.pop(message.id, None)
            for notice in message.notices:
                if notice.key not in message.channel.told and not message.is_digest:
                    message.channel.incidents[notice.key] = message.incident
                message.channel.told.setdefault(notice.key, "maybe")
            self.lost_answers.add(message.id)
            # A body is stored with the result of its first attempt: this one is built again.
            message.channel.bodies.pop((message.id, message.channel.version), None)
        self.end_worker(number)
        self.start_worker(number)

    @rule(hours=st.sampled_from([0, 1, 13, 72]))
    def stop_and_start(self, hours):
        """Stop Tocsin for a while, in which it receives no alert."""
        stopped = hours * HOUR + MINUTE
        self.now += stopped
        for alert in self.alerts.values():
            if alert.closes_at is not None:
                alert.closes_at += stopped
        for number in WORKERS:
            self.kill_a_worker(number)
        outbox.report_listening(self.now)

    @rule()
    def prune(self):
        """Delete every delivery and alert that may go: nobody is notified otherwise."""
        for _ in outbox.prune(self.now, 365, 0):
            pass

    # --- what leaves ---

    def send(self, message, settings, _policy, **_options):
        """Take the place of the sender: check what leaves, and answer as the receiver does."""
        sent = self.in_flight.pop(message.id, None) or self.check_message(settings, message)
        answer = sent.channel.answer
        if answer != "arrives" and sent.channel.failed_at is None:
            sent.channel.failed_at = self.now
        self.note_answer(sent, CERTAINTIES.get(answer, ""))
        return SendResult(None, outcome_of(answer))

    def leave(self, prepared):
        """Note a message that leaves and is answered later, or never."""
        message = self.check_message(prepared.channel.settings, prepared.message)
        self.in_flight[message.id] = message

    def note_answer(self, message, certainty):
        """Note what the receiver knows after an answer, which may be unknown."""
        channel = message.channel
        for notice in message.notices:
            key = notice.key
            if notice.event == "open" and certainty:
                if key == TROUBLE and certainty == "surely" and not message.is_replayed:
                    earlier = channel.arrived.setdefault((key, 0), message.id)
                    is_once = earlier in (message.id, *self.lost_answers)
                    assert is_once, "a trouble is notified twice"
                channel.told.setdefault(key, certainty)
                if not message.is_digest:
                    channel.incidents[key] = message.incident
            if certainty == "surely":
                if notice.event == "closed":
                    channel.told.pop(key, None)
                    channel.arrived.pop((TROUBLE, 0) if key == TROUBLE else None, None)
                    channel.resolved[message.incident] = message.id
                    channel.shown.pop(key, None)
                elif not (notice.is_flapping or key == TROUBLE):
                    channel.shown[key] = (notice.period, notice.severity)
                    self.check_told_once(message, notice)

    def check_message(self, settings, message):
        """Check that a message may leave now, and return what the receiver reads in it."""
        self.note_closed_alerts()
        self.note_failing_channels()
        channel = next(one for one in self.channels.values() if one.url == settings.url)
        body = message.body.decode()
        assert message.target.url.startswith(channel.url), "a message leaves to an old URL"
        assert (settings.kind, channel.secret in body) == (channel.kind, True), "an old message"
        version = (message.id, channel.version)
        assert channel.bodies.setdefault(version, body) == body, "one id has two bodies"
        assert not channel.is_paused, "a message leaves on a paused channel"
        incident, event, read = read_message(channel.kind, body)
        left = self.message_that_left(channel, message, incident)
        first_due = max(left.first_created_at, channel.delivering_since)
        assert self.now - first_due < DAY + LONGEST_STEP, "a message leaves too late"
        for notice in left.notices:
            self.check_notice(left, notice)
        assert left.notices, "a message says nothing new"
        assert channel.kind == "custom" or not left.is_digest, "an incident is a digest"
        self.check_what_is_read(left, event, read)
        self.messages[message.id] = left
        return left

    def message_that_left(self, channel, message, incident):
        """Return a message with a notice for each of its deliveries."""
        number = int(message.id.removeprefix("msg_"))
        in_message = (Delivery.id == number) | (Delivery.message == number)
        rows = list(Delivery.select().where(in_message, Delivery.state == "sending"))
        notices = []
        for row in rows:
            key = self.numbers.get(str(row.alert_id), TROUBLE)
            alert = self.alerts.get(key, TROUBLED)
            state = (alert.severity, alert.period, alert.change)
            notices.append(Notice(key, row.event, *state, bool(row.flapping)))
        since = min(max(row.created_at, self.replayed.get(row.id, 0)) for row in rows)
        is_replayed = any(row.id in self.replayed for row in rows)
        return Message(channel, message.id, incident, notices, since, is_replayed)

    def check_notice(self, message, notice):
        """Check that a message may say this of an alert now."""
        channel = message.channel
        is_silenced = self.is_silenced(notice.key)
        if notice.key == TROUBLE:
            self.check_trouble(message, notice, is_silenced)
            return
        alert = self.alerts[notice.key]
        if notice.event == "closed":
            is_shown = channel.wants(alert) and not is_silenced
            is_asked = message.is_replayed or notice.key in channel.asked_again
            is_known = notice.key in channel.told or is_asked
            assert is_known, "a closing leaves without an opening"
            assert not is_shown, "a closing leaves while the alert is open"
        elif notice.is_flapping:
            assert notice.key in channel.may_flap, "a calm alert is reported as flapping"
            assert not is_silenced, "a report leaves under a silence"
        else:
            assert alert.is_open, "an opening leaves after its alert has closed"
            assert not is_silenced, "an opening leaves under a silence"
        if message.is_digest:
            return
        incident = message.incident
        known = incident
        if notice.key in channel.told:
            known = channel.incidents.get(notice.key, incident)
        assert incident == known, "a message about an open incident has another key"
        is_reopened = channel.resolved.get(incident) not in (None, *self.lost_answers)
        if notice.event == "open" and not channel.group_by and is_reopened:
            raise AssertionError("a resolved incident is opened again")

    def check_trouble(self, message, notice, is_silenced):
        """Check an alert about the channel `all`, which only its fallback gets."""
        channel = message.channel
        troubled, fallback = list(self.channels.values())[:2]
        assert channel is fallback, "an alert about a channel leaves to another than its fallback"
        if notice.event == "closed":
            is_asked = message.is_replayed or TROUBLE in channel.asked_again
            is_known = TROUBLE in channel.told or is_asked
            assert is_known, "the end of a trouble leaves without its beginning"
        else:
            assert not is_silenced, "an alert about a channel leaves under a silence"
            assert troubled.failed_at is not None, "a channel without a failure is in trouble"
            assert self.now - troubled.failed_at >= FALLBACK_AFTER, "a trouble is notified early"

    def check_what_is_read(self, message, event, read):
        """Check what a receiver reads about each alert, also about those that are not news."""
        channel = message.channel
        told = set(channel.told) - {TROUBLE}
        open_keys = {key for key in told if self.alerts[key].is_open}
        if event == "closed" and channel.group_by and not message.is_digest:
            assert not open_keys, "a group is resolved although an alert of it is open"
        notices = {notice.key: notice for notice in message.notices}
        for number, (status, severity) in read.items():
            key = self.numbers.get(number, TROUBLE)
            notice = notices.pop(key, None)
            if notice is None:
                assert status == "open", "a message repeats a resolution"
                assert key in open_keys, "a message counts an alert that the channel does not know"
            else:
                assert status == notice.event, "a message says another event"
                is_current = status == "closed" or severity == notice.severity
                assert is_current or notice.is_flapping, "an opening leaves with an old severity"
        assert not (read and notices), "a message leaves an alert out"

    def check_told_once(self, message, notice):
        """Check that no other delivery has told the same change, except after the repeat."""
        channel = message.channel
        if message.is_replayed or notice.key in channel.asked_again:
            channel.asked_again.discard(notice.key)
            return
        change = (notice.key, notice.change)
        earlier = channel.arrived.get(change, message.id)
        channel.arrived[change] = message.id
        if earlier not in (message.id, *self.lost_answers):
            interval = channel.repeat_minutes * MINUTE
            assert interval, "a change is notified twice"
            # A group message may be younger than the deliveries in it.
            since = self.messages[earlier].first_created_at
            assert message.first_created_at - since >= interval, "a repeat is early"

    def note_failing_channels(self):
        for row in Channel.select(Channel.id).where(Channel.state == ChannelState.FAILING):
            self.channels[row.id].delivering_since = self.now

    def is_silenced(self, key):
        ends = [until for silenced, until in self.silences.values() if silenced in ("", key)]
        return any(until > self.now for until in ends)

    def note_closed_alerts(self):
        """Note the alerts that closed by themselves, which they may not do early."""
        open_keys = {row.key for row in AlertRow.select().where(AlertRow.status == "open")}
        for key, alert in self.alerts.items():
            if alert.is_open and key not in open_keys:
                assert alert.closes_at is not None, "an alert closes that nobody closed"
                assert alert.closes_at <= self.now, "an alert closes too early"
                self.note_change(key, has_changed=True)
                alert.is_open = False

    # --- what must be true in the end ---

    def check_the_counts(self):
        """Check the stored numbers of settled deliveries, which triggers keep."""
        settled = Delivery.select(Delivery.state, fn.COUNT(Delivery.id)).group_by(Delivery.state)
        actual = {state: count for state, count in settled.tuples() if state not in UNSETTLED}
        stored = {row.state: row.number for row in SettledCount.select() if row.number}
        assert stored == actual

    def teardown(self):
        """Let everything work, and the source repeat, until every notification has arrived."""
        if sys.exc_info()[0]:  # the history has failed already
            return
        try:
            self.let_receivers_answer()
            self.work()
            self.check_the_end_of_silences()
            for _ in range(3):
                self.repeat_everything()
                self.work()
                self.pass_time(15 * MINUTE)
                self.pass_time(LONGEST_STEP)
            self.check_that_all_know()
            self.check_repeats()
            self.check_the_counts()
        finally:
            for number in WORKERS:
                self.end_worker(number)

    def pass_time(self, length):
        self.wait(length // SECOND)
        self.work()

    def check_the_end_of_silences(self):
        """Check that what the silences stop is sent when they end, though nobody repeats it."""
        stopped = [(one, dict(one.stopped)) for one in self.channels.values()]
        self.end_silences()
        for number, channel in enumerate(self.channels.values()):
            channel.answer = "arrives"
            if channel.is_paused:
                self.resume(number, HeldChoice.ALL)
        self.work()
        for _ in range(2):  # the first probe of a failing channel may be in vain
            self.pass_time(15 * MINUTE)
        for channel, changes in stopped:
            for key, change in changes.items():
                alert = self.alerts[key]
                if channel.wants(alert) and alert.change == change:
                    expected = (alert.period, alert.severity)
                    assert channel.shown.get(key) == expected, "a silence swallowed an opening"

    def check_repeats(self):
        """Check that the worker keeps the repeat interval, though nobody repeats the alerts."""
        repeating = [one for one in self.channels.values() if one.repeat_minutes]
        before = [dict(one.arrived) for one in repeating]
        self.pass_time(HOUR)
        for channel, arrived in zip(repeating, before, strict=True):
            for key, alert in self.alerts.items():
                if channel.wants(alert):
                    change = (key, alert.change)
                    assert channel.arrived[change] != arrived[change], "a repeat is missing"

    def repeat_everything(self):
        for key, alert in self.alerts.items():
            if alert.is_open:
                self.post_open(key, alert.severity, then_work=False, closes_in=12 * HOUR)
            else:
                self.post_closed(key, then_work=False)

    def check_that_all_know(self):
        for channel in self.channels.values():
            for key, alert in self.alerts.items():
                if channel.wants(alert):
                    expected = (alert.period, alert.severity)
                    assert channel.shown.get(key) == expected, "an opening is lost"
                elif not alert.is_open:
                    assert key not in channel.told, "a closing is lost"


@pytest.fixture
def histories(app, config, monkeypatch):
    """Yield the state machine, on the database of this test."""
    monkeypatch.setattr(worker_module, "send", None)  # each history replaces it
    monkeypatch.setattr(Histories, "config", config)
    db.connect(reuse_if_open=True)
    with numbers_taken(config, WORKERS):
        yield Histories


def test_every_history_notifies_whom_the_model_says(histories):
    run_state_machine_as_test(
        histories,
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize="TOCSIN_HISTORIES" not in os.environ,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            phases=[Phase.generate, Phase.shrink],
        ),
    )
