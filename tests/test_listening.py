"""Until when Tocsin could receive alerts: reports, gaps, and the alerts that close."""

import logging
import threading
import time
import warnings

import pytest
from databases import ON_POSTGRESQL, another_writer, only_sqlite, set_patience
from peewee import DatabaseError, OperationalError

from clock import HOUR, MINUTE, SECOND
from delivery import listening, outbox
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.listening import ListeningReporter, start_reporting
from delivery.outbox import close_overdue, report_listening, store
from delivery.outbox import ingest as outbox_ingest
from delivery.outbox.listening import MAX_GAP, REPORT_INTERVAL, listening_until
from models import Alert as AlertRow
from models import Fact, db

NOW = 1_790_000_000_000
END = NOW + MINUTE


@pytest.fixture(autouse=True)
def _database(app):
    db.connect(reuse_if_open=True)


def post(key="k", now=NOW, closes_at=END):
    """Store an open alert that closes at a time unless it is sent again."""
    alert = Alert.from_json({"name": "Disk full", "status": "open"})
    store([ReceivedAlert(key, alert, closes_at)], now)


def ends():
    """Return when each alert closes, by its key."""
    return {row.key: row.closes_at for row in AlertRow.select()}


def is_open():
    return AlertRow.get().status == "open"


class Process:
    """A web process with its reporter, and two clocks that only a test moves."""

    def __init__(self, wall=NOW):
        self.wall = wall
        self.seconds = 0.0
        self.reporter = ListeningReporter(lambda: self.wall, lambda: self.seconds)

    def pass_time(self, milliseconds, jump=0):
        """Let time pass; the wall clock jumps besides."""
        self.wall += milliseconds + jump
        self.seconds += milliseconds / 1000

    def report(self, after=0, jump=0):
        self.pass_time(after, jump)
        self.reporter.report()


# --- gaps ---


def test_a_gap_moves_the_end_of_an_open_alert_by_its_length():
    report_listening(NOW)
    post()
    report_listening(NOW + HOUR)
    assert ends() == {"k": END + HOUR}
    assert listening_until() == NOW + HOUR


@pytest.mark.parametrize("gap", [REPORT_INTERVAL, MAX_GAP])
def test_a_short_gap_moves_nothing(gap):
    report_listening(NOW)
    post()
    report_listening(NOW + gap)
    assert ends() == {"k": END}
    assert listening_until() == NOW + gap


def test_reports_without_a_gap_move_nothing_in_any_sum():
    post()
    for now in range(NOW, NOW + MINUTE, REPORT_INTERVAL):
        report_listening(now)
    assert ends() == {"k": END}


def test_an_alert_that_came_after_the_last_report_before_a_stop_is_moved_too():
    report_listening(NOW)
    post(now=NOW + 400)
    report_listening(NOW + HOUR)
    assert ends() == {"k": END + HOUR - 400}


def test_an_alert_that_came_after_a_restart_and_before_its_first_report_keeps_its_end():
    report_listening(NOW)
    post("before")
    post("after", now=NOW + HOUR - 10, closes_at=END + HOUR)
    report_listening(NOW + HOUR)
    assert ends() == {"before": END + HOUR, "after": END + HOUR + 10}


def test_a_gap_leaves_alerts_alone_that_have_no_end_or_whose_end_had_come():
    report_listening(NOW)
    post("without an end", closes_at=None)
    post("over", now=NOW - MINUTE, closes_at=NOW)
    report_listening(NOW + HOUR)
    assert ends() == {"without an end": None, "over": NOW}


def test_without_a_report_the_last_alert_that_came_is_the_last_time_of_listening():
    post()
    assert listening_until() == NOW
    report_listening(NOW + HOUR)
    assert ends() == {"k": END + HOUR}


def test_the_first_report_is_stored_though_an_alert_has_just_come():
    # Otherwise a busy server would search all its alerts at every report.
    post()
    report_listening(NOW + 1)
    assert Fact.get(Fact.name == "listening until").value == str(NOW + 1)


def test_the_first_report_of_an_empty_installation_is_no_gap():
    assert listening_until() == 0
    report_listening(NOW)
    assert listening_until() == NOW


@pytest.mark.parametrize("value", ["", "never", "-5"])
def test_a_damaged_report_is_replaced_by_the_next_one(value):
    post()
    Fact.create(name="listening until", value=value)
    report_listening(NOW + SECOND)
    assert listening_until() == NOW + SECOND
    close_overdue(NOW + SECOND)
    assert is_open()


# --- clocks ---


@pytest.mark.parametrize("jump", [HOUR, 24 * HOUR])
def test_a_wall_clock_that_jumps_ahead_makes_no_gap(jump):
    process = Process()
    process.report()
    post(closes_at=NOW + 48 * HOUR)
    process.report(after=REPORT_INTERVAL, jump=jump)
    assert ends() == {"k": NOW + 48 * HOUR}
    assert listening_until() == NOW + REPORT_INTERVAL + jump


def test_a_gap_during_which_the_clock_jumps_counts_by_the_monotonic_clock():
    process = Process()
    process.report()
    post()
    process.report(after=10 * SECOND, jump=HOUR)
    assert ends() == {"k": END + 10 * SECOND}


def test_a_clock_that_is_set_back_makes_no_gap_and_closes_nothing_early():
    process = Process()
    process.report()
    post()
    process.report(after=REPORT_INTERVAL, jump=-HOUR)
    assert ends() == {"k": END}
    assert listening_until() == NOW + REPORT_INTERVAL - HOUR
    close_overdue(process.wall)
    assert is_open()


def test_a_gap_after_a_clock_was_set_back_moves_alerts_of_the_time_before_too():
    process = Process()
    process.report()
    post(closes_at=NOW + 2 * HOUR)
    process.report(after=REPORT_INTERVAL, jump=-HOUR)
    process.report(after=10 * MINUTE)
    assert ends() == {"k": NOW + 2 * HOUR + 10 * MINUTE}


def test_two_processes_share_the_reports():
    one, two = Process(), Process()
    post()
    for _ in range(20):
        one.report(after=REPORT_INTERVAL)
        two.report(after=REPORT_INTERVAL)
    assert ends() == {"k": END}
    assert listening_until() == one.wall


def test_while_one_process_listens_the_stall_of_another_is_no_gap():
    one, two = Process(), Process()
    two.report()
    post()
    for _ in range(20):
        one.report(after=REPORT_INTERVAL)
    two.report(after=20 * REPORT_INTERVAL)
    assert ends() == {"k": END}


def test_a_process_that_starts_after_a_gap_counts_it_once():
    old = Process()
    old.report()
    post()
    new = [Process(NOW + HOUR), Process(NOW + HOUR)]
    for process in new:
        process.report()
        process.report(after=REPORT_INTERVAL)
    assert ends() == {"k": END + HOUR}


@only_sqlite
def test_a_report_right_after_that_of_another_process_writes_nothing():
    one, two = Process(), Process()
    one.report()
    statements = []
    db.connection().set_trace_callback(statements.append)
    two.report(after=REPORT_INTERVAL // 2 - 1)
    db.connection().set_trace_callback(None)
    assert not [text for text in statements if text.startswith(("BEGIN", "REPLACE", "UPDATE"))]


# --- deafness ---


def test_while_the_outbox_is_full_nothing_is_reported_and_nothing_closes(monkeypatch):
    process = Process()
    process.report()
    post()
    monkeypatch.setattr(outbox_ingest, "MAX_WAITING", 0)
    for _ in range(240):
        process.report(after=REPORT_INTERVAL)
        close_overdue(process.wall)
    assert (listening_until(), ends()) == (NOW, {"k": END})
    assert is_open()
    monkeypatch.undo()
    process.report(after=SECOND)
    assert ends() == {"k": END + 121 * SECOND}
    close_overdue(process.wall)
    assert is_open()


def test_a_database_failure_is_survived_and_counts_as_a_gap(monkeypatch):
    process = Process()
    process.report()
    post()
    with monkeypatch.context() as broken:
        broken.setattr(outbox, "report_listening", fail_with(OperationalError("locked")))
        process.report(after=SECOND)
        process.report(after=SECOND)
    process.report(after=SECOND)
    assert ends() == {"k": END + 3 * SECOND}


def test_while_another_process_locks_the_database_nothing_is_reported(config, caplog):
    process = Process()
    process.report()
    post()
    set_patience(1)
    with another_writer(config.database):
        process.report(after=SECOND)
        process.report(after=SECOND)
    assert listening_until() == NOW
    assert len(caplog.records) == 1
    process.report(after=SECOND)
    assert ends() == {"k": END + 3 * SECOND}
    assert commits_are_durable()


def fail_with(error):
    def fail(*_arguments, **_options):
        raise error

    return fail


@pytest.mark.parametrize("error", [OperationalError("locked"), DatabaseError("x"), TypeError("x")])
def test_a_failure_is_logged_once_until_it_changes(monkeypatch, caplog, error):
    process = Process()
    with monkeypatch.context() as broken:
        broken.setattr(outbox, "is_full", fail_with(error))
        for _ in range(5):
            process.report(after=SECOND)
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.ERROR
    assert "cannot report that it listens" in caplog.text
    process.report(after=SECOND)
    assert listening_until() == process.wall
    monkeypatch.setattr(outbox, "is_full", fail_with(error))
    process.report(after=SECOND)
    assert len(caplog.records) == 2


# --- closing ---


def test_nothing_closes_for_a_time_at_which_nobody_listened():
    report_listening(NOW)
    post()
    assert close_overdue(END + HOUR) == 0
    report_listening(END - 1, max_gap=REPORT_INTERVAL)
    assert close_overdue(END + HOUR) == 0
    report_listening(END + REPORT_INTERVAL, max_gap=REPORT_INTERVAL)
    assert close_overdue(END + HOUR) == 1
    assert not is_open()


def test_an_alert_whose_end_came_before_a_stop_is_closed_after_it():
    post(closes_at=NOW + SECOND)
    report_listening(NOW + SECOND)
    report_listening(NOW + HOUR)
    assert close_overdue(NOW + HOUR) == 1


def test_after_a_gap_an_alert_closes_when_its_source_had_the_full_time_again():
    report_listening(NOW)
    post()
    process = Process(NOW + HOUR)
    process.report()
    closed_at = None
    while closed_at is None:
        process.report(after=REPORT_INTERVAL)
        if close_overdue(process.wall):
            closed_at = process.wall
    assert closed_at == END + HOUR


# --- the thread ---


@pytest.fixture
def fast(monkeypatch):
    """Make the thread report every few milliseconds."""
    monkeypatch.setattr(outbox, "REPORT_INTERVAL", 5)


def wait_until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def reporting_threads():
    return [thread for thread in threading.enumerate() if thread.name == "listening"]


def test_the_thread_reports_until_its_process_stops_accepting(fast):
    accepting = threading.Event()
    accepting.set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        start_reporting(accepting.is_set)
        wait_until(listening_until)
        accepting.clear()
        wait_until(lambda: not reporting_threads())
    assert 0 <= time.time() * 1000 - listening_until() < 10_000


def test_the_thread_goes_on_after_any_failure(fast, monkeypatch, caplog):
    failures = [ValueError("unexpected"), OperationalError("locked"), MemoryError()]
    original = outbox.is_full

    def sometimes(now):
        if failures:
            raise failures.pop(0)
        return original(now)

    monkeypatch.setattr(listening.outbox, "is_full", sometimes)
    accepting = threading.Event()
    accepting.set()
    start_reporting(accepting.is_set)
    wait_until(listening_until)
    accepting.clear()
    wait_until(lambda: not reporting_threads())
    assert len(caplog.records) == 3
    assert "unexpected" not in caplog.text


@only_sqlite
def test_a_database_that_cannot_be_opened_yet_does_not_end_the_thread(fast, monkeypatch, config):
    moved = config.database.with_suffix(".moved")
    db.close()
    config.database.rename(moved)
    config.database.mkdir()
    accepting = threading.Event()
    accepting.set()
    start_reporting(accepting.is_set)
    time.sleep(0.05)
    assert reporting_threads()
    config.database.rmdir()
    moved.rename(config.database)
    db.connect()
    wait_until(listening_until)
    accepting.clear()
    wait_until(lambda: not reporting_threads())


def test_reports_beside_writers_lock_nobody_out(fast, monkeypatch, caplog):
    monkeypatch.setattr(outbox_ingest, "is_full", lambda _now: False)
    monkeypatch.setattr(
        "delivery.outbox.listening.REPORT_INTERVAL", 0
    )  # so that every report is written
    accepting = threading.Event()
    accepting.set()
    for _ in range(3):
        start_reporting(accepting.is_set)
    for number in range(200):
        post(str(number), now=NOW + number)
    accepting.clear()
    wait_until(lambda: not reporting_threads())
    assert AlertRow.select().count() == 200
    assert not caplog.records


def test_a_report_leaves_no_weaker_durability_behind():
    ListeningReporter().report()
    assert commits_are_durable()


def commits_are_durable():
    """Return True if a transaction of this thread waits for the disk."""
    with db.atomic():
        statement = "SHOW synchronous_commit" if ON_POSTGRESQL else "PRAGMA synchronous"
        return db.execute_sql(statement).fetchone()[0] in ("on", 2)
