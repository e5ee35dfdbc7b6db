"""A database file that is deleted, moved or replaced while Tocsin runs, or before it starts."""

import os
import shutil
import signal
import time

import pytest
import requests
from channels import form_of
from conftest import Live
from databases import only_sqlite
from peewee import OperationalError
from processes import wait_until, workers_of
from receiver import reply
from test_access import browser, routes
from workers import Clocks

import config as config_module
import database
import startup
from cli import main
from clock import now_ms
from config import Config, ConfigError
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.listening import ListeningReporter
from delivery.outbox import store
from delivery.outbox.listening import listening_until
from delivery.secrets.encryption import Keyring
from delivery.settings import Settings, write_settings
from delivery.worker import Worker
from models import Attempt, Channel, Delivery, User, db
from web.accounts.api_tokens import SCOPES, create_token
from web.auth.access import WITHOUT_DATABASE
from web.services import Services

pytestmark = only_sqlite

KEY = "A" * 43 + "="


@pytest.fixture
def moved(config):
    """Return the path to which `take_away` moves the database."""
    return config.database.with_suffix(".moved")


@pytest.fixture
def take_away(config, moved):
    """Return a function that moves the database away, or replaces it by a copy."""

    def take_away(replaced=False):
        db.connect(reuse_if_open=True)
        config.database.rename(moved)
        if replaced:
            shutil.copy(moved, config.database)

    return take_away


# --- while Tocsin runs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replaced", "sentence"), [(False, "is missing"), (True, "was replaced by another file")]
)
def test_every_route_answers_503_with_a_sentence_until_the_file_is_back(
    app, config, moved, take_away, replaced, sentence
):
    _, secret = create_token("t", list(SCOPES), None, "", now_ms())
    token = {"Authorization": f"Bearer {secret}"}
    ada = browser(app)
    ada.get("/channels")  # opens the connection of this thread
    take_away(replaced)
    for kind in ("page", "public", "machine"):
        for method, path in routes(app, kind):
            endpoint = app.url_map.bind("").match(path, method=method)[0]
            with ada.open(path, method=method, data=form_of(), headers=token) as response:
                if endpoint in WITHOUT_DATABASE:
                    assert response.status_code == 200
                    continue
                assert response.status_code == 503, path
                assert response.headers["Retry-After"] == "5"
                assert sentence in response.text
                assert str(config.data_dir) not in response.text
                is_machine = kind == "machine" or endpoint.startswith("health.")
                assert response.mimetype in ("application/problem+json", "application/json") or (
                    not is_machine and response.text.startswith("<!doctype")
                ), path
    config.database.unlink(missing_ok=True)
    moved.rename(config.database)
    assert ada.get("/channels").status_code == 200
    assert ada.get("/readyz").json["oldest_due_seconds"] == 0


def test_a_page_fragment_says_that_the_database_is_missing(client, take_away):
    client.get("/channels")
    take_away()
    response = client._client.post(
        "/channels/new/validate/name", data=form_of(), headers={"HX-Request": "true"}
    )
    assert (response.status_code, response.headers["HX-Retarget"]) == (503, "#notice")
    assert "tocsin.db is missing" in response.text


def test_nobody_sees_a_stored_url_while_the_sign_in_cannot_be_checked(app, client, take_away):
    client.post("/channels", form_of("https://hooks.example.com/services/t0ken"))
    take_away()
    for name in ("", "vera"):
        response = browser(app, name).post("/channels/1", data=form_of("https://x.example/"))
        assert (response.status_code, "t0ken" in response.text) == (503, False)


def test_no_new_database_is_created_in_place_of_a_deleted_one(app, client, config, take_away):
    db.close()
    client.get("/channels")
    take_away()
    db.close()
    assert client.get("/channels").status_code == 503
    assert not config.database.exists()


def test_a_test_that_ends_after_the_database_was_deleted_says_that_it_is_not_stored(
    client, receiver, take_away
):
    receiver.script = lambda connection, request: (take_away(), reply(200)(connection, request))
    page = client.post("/channels/new/test", form_of(receiver.url)).text
    assert "is missing" in page


def test_the_worker_sends_nothing_from_a_deleted_database_and_logs_it_once(
    app, config, receiver, moved, take_away, caplog
):
    clocks = Clocks()
    db.connect(reuse_if_open=True)
    row = Channel.create(name="C", kind="", created_at=1, updated_at=1)
    settings = Settings(url=receiver.url, timeout=5)
    write_settings(row, settings, Keyring(config.encryption_keys), config.secret_key)
    row.save()
    worker = Worker(
        config, clock=lambda: clocks.wall, monotonic=lambda: clocks.monotonic, rng=lambda: 0.5
    )
    worker.begin()
    store([ReceivedAlert("k", Alert(name="Disk full"))], clocks.now)
    take_away()
    worker._wait_seconds = lambda _timeout: 0
    for _ in range(3):
        assert worker.run_once(0) == 0
    assert not receiver.requests
    errors = [record.getMessage() for record in caplog.records if record.name == "tocsin.worker"]
    assert len(errors) == 1
    assert f"The database {config.database} is missing" in errors[0]
    moved.rename(config.database)
    del worker._wait_seconds
    deadline = time.monotonic() + 5
    while not Attempt.select().count() and time.monotonic() < deadline:
        worker.run_once(0.05)
    assert [delivery.state for delivery in Delivery.select()] == ["delivered"]
    worker._runs.pool.shutdown()


def test_a_deleted_database_is_no_time_in_which_tocsin_listens(app, take_away, moved, config):
    db.connect(reuse_if_open=True)
    clocks = Clocks()
    reporter = ListeningReporter(lambda: clocks.now, lambda: clocks.monotonic)
    reporter.report()
    began = clocks.now
    take_away()
    clocks.move(10)
    reporter.report()
    moved.rename(config.database)
    assert listening_until() == began
    reporter.report()
    assert listening_until() == clocks.now


def test_the_check_of_the_file_is_one_call_of_the_system(client, config, monkeypatch):
    client.get("/channels")
    calls = []
    stat = os.stat

    def counting(path, **options):
        calls.append(path)
        return stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", counting)
        assert client.get("/channels").status_code == 200
    assert calls.count(config.database) == 1


def test_a_running_server_notices_that_its_database_is_deleted_and_recovers(tmp_path):
    server = Live(tmp_path)
    path = tmp_path / "data" / "tocsin.db"
    try:
        server.ready()
        wait_until(lambda: requests.get(f"{server.url}/readyz", timeout=5).status_code == 200)
        token = server.create_token()
        path.rename(tmp_path / "away")
        for _ in range(8):  # both web processes, and several threads of each
            post = requests.post(f"{server.url}/api/v1/alerts", json={}, headers=token, timeout=5)
            assert (post.status_code, "is missing" in post.json()["detail"]) == (503, True)
            assert requests.get(f"{server.url}/channels", timeout=5).status_code == 503
            assert requests.get(f"{server.url}/readyz", timeout=5).json()["status"] == 503
            assert requests.get(f"{server.url}/healthz", timeout=5).status_code == 200
        sentence = "tocsin.db is missing: the file was deleted or moved"
        wait_until(lambda: sentence in server.output())
        (old_worker,) = workers_of(server.process.pid)
        os.kill(old_worker, signal.SIGKILL)
        wait_until(lambda: server.output().count(sentence) == 2)
        assert not path.exists()
        shutil.copy(tmp_path / "away", path)
        wait_until(lambda: "was replaced by another file" in server.output())
        assert requests.get(f"{server.url}/channels", timeout=5).status_code == 503
        (tmp_path / "away").replace(path)
        alert = {"name": "Disk full"}
        post = requests.post(f"{server.url}/api/v1/alerts", json=alert, headers=token, timeout=5)
        assert post.status_code == 202
        wait_until(lambda: requests.get(f"{server.url}/readyz", timeout=5).status_code == 200)
        assert server.output().count(sentence) == 2  # once by each of two workers
        assert server.output().count("was replaced by another file") == 1
    finally:
        assert server.stop() == 0


def test_a_web_process_also_starts_while_the_database_is_missing(client, config, moved, take_away):
    client.get("/channels")
    take_away()
    db.close()
    database.open_database(config.database)
    client._client.application.extensions["tocsin"] = Services(config)
    assert client.get("/channels").status_code == 503
    moved.rename(config.database)
    assert client.get("/lab").status_code == 200


# --- before the start -----------------------------------------------------------------------------


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Return the folder of an installation that was started before, and set the variables."""
    monkeypatch.setattr(startup, "_prepared", {})
    folder = tmp_path / "installation"
    for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(folder))
    yield folder
    db.close()


def start():
    """Prepare the installation of the environment, as every command does."""
    startup.prepare(Config.from_env())


@pytest.mark.parametrize("lost_keys", [[], ["secret.key"], ["encryption.keys"]])
def test_no_new_database_is_created_beside_the_keys_of_an_earlier_start(environment, lost_keys):
    start()
    for name in ["tocsin.db", *lost_keys]:
        (environment / name).unlink()
    startup._prepared.clear()
    kept = {path.name for path in environment.glob("*key*")}
    with pytest.raises(ConfigError, match=r"^TOCSIN_DATA_DIR: .*is missing.*restore tocsin\.db"):
        start()
    assert not (environment / "tocsin.db").exists()
    assert {path.name for path in environment.glob("*key*")} == kept


def test_the_refusal_ends_every_command_with_the_code_2(environment, capsys):
    start()
    (environment / "tocsin.db").unlink()
    startup._prepared.clear()
    for arguments in (["serve"], ["worker"], ["user", "list"], ["keys", "rotate"]):
        assert main(arguments) == 2
        assert "is missing, but" in capsys.readouterr().err


@pytest.mark.parametrize("afresh", ["an empty file", "without keys"])
def test_tocsin_can_be_started_again_without_channels(environment, afresh):
    start()
    (environment / "tocsin.db").unlink()
    if afresh == "an empty file":
        (environment / "tocsin.db").touch()
    else:
        for path in environment.glob("*key*"):
            path.unlink()
    startup._prepared.clear()
    start()
    with db.connection_context():
        assert not Channel.select().exists()


def test_a_restored_database_is_accepted(environment):
    start()
    backup = environment.with_name("backup")
    shutil.copy(environment / "tocsin.db", backup)
    with db.connection_context():
        User.create(name="later", created_at=1)
    for path in environment.glob("tocsin.db*"):
        path.unlink()
    startup._prepared.clear()
    shutil.copy(backup, environment / "tocsin.db")
    start()
    with db.connection_context():
        assert not User.select().exists()


def test_keys_in_variables_need_no_database(environment, monkeypatch):
    monkeypatch.setenv("TOCSIN_ENCRYPTION_KEYS", KEY)
    monkeypatch.setenv("TOCSIN_SECRET_KEY", "x" * 32)
    start()
    assert not list(environment.glob("*key*"))


def test_a_start_that_is_interrupted_or_raced_leaves_no_keys_without_a_database(
    environment, monkeypatch
):
    create = config_module.create_if_missing

    def create_once(path, text):
        assert (environment / "tocsin.db").exists()
        if path.name == "encryption.keys":
            raise KeyboardInterrupt
        create(path, text)

    monkeypatch.setattr(config_module, "create_if_missing", create_once)
    with pytest.raises(KeyboardInterrupt):
        start()
    assert {path.name for path in environment.glob("*key*")} == {"secret.key"}
    monkeypatch.undo()
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(environment))
    start()


def test_a_missing_folder_of_the_database_is_named(environment, monkeypatch, tmp_path):
    monkeypatch.setenv("TOCSIN_DATABASE_URL", f"sqlite:///{tmp_path}/volume/t.db")
    with pytest.raises(ConfigError, match=r"^TOCSIN_DATABASE_URL: .*/volume does not exist"):
        start()
    assert not list(environment.glob("*key*"))
    (tmp_path / "volume").mkdir()
    start()


@pytest.mark.parametrize("name", ["a?b#c%20d.db", "ä b.db"])
def test_a_database_may_have_any_file_name(tmp_path, name):
    database.prepare(tmp_path / name)
    with db.connection_context():
        assert not User.select().exists()
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.lock"}


def test_a_process_that_is_restarted_stays_with_the_file_of_the_start(environment):
    start()
    (environment / "tocsin.db").rename(environment / "away")
    shutil.copy(environment / "away", environment / "tocsin.db")
    start()
    with pytest.raises(OperationalError, match="was replaced"):
        db.connect()
    (environment / "away").replace(environment / "tocsin.db")
    db.connect()


def test_a_process_that_is_restarted_creates_no_keys(environment):
    start()
    for path in environment.glob("*key*"):
        path.unlink()
    with pytest.raises(ConfigError, match=r"^TOCSIN_SECRET_KEY: .*secret\.key"):
        start()
    assert not list(environment.glob("*key*"))
