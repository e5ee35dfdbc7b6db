"""Fixtures: app, clients, receiver, live server and browser."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from functools import cached_property
from pathlib import Path

import pytest
import requests
from channels import form_of
from databases import ON_POSTGRESQL, database_at, running_cluster
from jinja2 import FileSystemBytecodeCache
from markup import check_markup, token_in
from programs import Programs
from receiver import Receiver
from tocsin_command import QUICK, tocsin  # noqa: F401 (a fixture of all tests)
from workers import channel, clocks, gate, make  # noqa: F401 (fixtures of all tests)

import database
import startup
from app import configure, create_app
from clock import now_ms
from config import Config
from config.values import PARSERS
from delivery import outbox
from delivery.queue import heartbeat
from delivery.secrets import rotation
from models import Login, Role, User, db
from web.accounts.users import digest

ROOT = Path(__file__).parent.parent
# The headless shell renders the same pages in two thirds of the time.
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
PASSWORD = "three small bells"
DATABASE_FIXTURES = {"cluster", "own_cluster", "migrated", "live", "own_live"}


def pytest_configure():
    """Keep databases in memory if possible, so that thousands of commits need no disk."""
    if os.access("/dev/shm", os.W_OK):
        tempfile.tempdir = "/dev/shm"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Run the browser tests first: they take longest, and other processes run the rest.

    On PostgreSQL, run only the tests with a database: the others have run on SQLite.
    """
    items.sort(key=lambda item: "browser" not in item.keywords)
    if ON_POSTGRESQL:
        config.hook.pytest_deselected(items=[item for item in items if not has_database(item)])
        items[:] = filter(has_database, items)


def has_database(item):
    """Return True if a test uses a fixture with a database, or its module starts servers."""
    uses_fixture = not DATABASE_FIXTURES.isdisjoint(item.fixturenames)
    return uses_fixture or hasattr(item.module, "Live")


@pytest.fixture(scope="session")
def cluster():
    """Yield the server of PostgreSQL for all tests."""
    yield from running_cluster()


@pytest.fixture
def own_cluster():
    """Yield a server of PostgreSQL that a test may stop."""
    yield from running_cluster()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory, request):
    """Return a migrated database with the editor `ada` and the viewer `vera`, both signed in."""
    path = tmp_path_factory.mktemp("migrated") / "tocsin.db"
    if ON_POSTGRESQL:
        cluster = request.getfixturevalue("cluster")
        path = PARSERS["TOCSIN_DATABASE_URL"](cluster.create("migrated"))
    database.prepare(path)
    now = now_ms()
    password = QUICK.hash(PASSWORD)
    with db.connection_context():
        for name, role in (("ada", Role.EDITOR), ("vera", Role.VIEWER)):
            user = User.create(name=name, role=role, password=password, created_at=now)
            Login.create(digest=digest(f"cookie of {name}"), user=user, created_at=now, seen_at=now)
    return path


@pytest.fixture
def new_database(request, migrated):
    """Return a function that makes the path, or the URL, of a copy of the migrated database."""

    def new_database(path):
        if not ON_POSTGRESQL:
            shutil.copy(migrated, path)
            return f"sqlite:///{path}"
        # All tests have the same URL, but not the same database.
        outbox.ingest._waiting_counts.clear()
        startup._prepared.clear()
        return request.getfixturevalue("cluster").create("tocsin", "migrated")

    return new_database


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """Return a cache of compiled templates for all tests."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def config(tmp_path, new_database, monkeypatch):
    """Yield a configuration in a temporary folder that allows the loopback network."""
    environment = {
        "TOCSIN_DATA_DIR": str(tmp_path / "data"),
        "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8",
    }
    (tmp_path / "data").mkdir()
    url = new_database(tmp_path / "data" / "tocsin.db")
    if ON_POSTGRESQL:
        environment["TOCSIN_DATABASE_URL"] = url
        # For the commands that a test runs; a worker of a test would listen after its end.
        monkeypatch.setenv("TOCSIN_DATABASE_URL", url)
        monkeypatch.setattr("database.postgresql.ServerDatabase.listen", lambda *_: None)
    config = Config.from_env(environment).with_keys()
    heartbeat.lock_path(config.data_dir).touch()  # as if a worker were running
    yield config
    if db.obj:
        db.close()


@pytest.fixture(scope="session")
def assembled(tmp_path_factory, compiled):
    """Return the app, assembled once for all tests; compiling its routes takes 10 ms."""
    folder = tmp_path_factory.mktemp("assembled")
    app = create_app(Config.from_env({"TOCSIN_DATA_DIR": str(folder)}))
    db.close()
    app.jinja_env.bytecode_cache = compiled
    return app


@pytest.fixture
def app(config, assembled):
    """Yield the app with the configuration, database and services of one test."""
    database.open_database(config.database)
    configure(assembled, config)
    assembled.config["SECRET_KEY"] = config.secret_key
    with db.connection_context():
        rotation.check_keys(assembled.extensions["tocsin"].keyring)
    yield assembled
    db.close()


class Client:
    """Flask client that posts forms with the CSRF token and checks the markup of every page.

    It is signed in as the editor `ada` unless another name, or an empty one, is passed.
    """

    def __init__(self, app, name="ada"):
        self._client = app.test_client()
        self.token = ""
        if name:
            with self._client.session_transaction() as session:
                session["login"] = f"cookie of {name}"

    def get(self, path, **kwargs):
        """Get a page."""
        return self._checked(self._client.get(path, **kwargs))

    def post(self, path, data=None, htmx=False, **kwargs):
        """Post a form with the CSRF token; `htmx` requests a fragment."""
        self.token = self.token or token_in(
            self._client.get("/account", follow_redirects=True).text
        )
        headers = dict(kwargs.pop("headers", {}))
        if htmx:
            headers["HX-Request"] = "true"
        form = {"csrf_token": self.token, **(data or {})}
        return self._checked(self._client.post(path, data=form, headers=headers, **kwargs))

    def without_token(self, path, data=None, **kwargs):
        """Post a form without the CSRF token."""
        return self._checked(self._client.post(path, data=data or {}, **kwargs))

    def _checked(self, response):
        if response.mimetype == "text/html" and response.text.startswith("<!doctype"):
            check_markup(response.text)
        return response


@pytest.fixture
def client(app):
    """Return the client of an editor."""
    return Client(app)


@pytest.fixture
def viewer(app):
    """Return the client of a viewer."""
    return Client(app, "vera")


@pytest.fixture
def anonymous(app):
    """Return a client that is not signed in."""
    return Client(app, "")


@pytest.fixture
def receiver():
    """Yield a receiver that responds with 200 unless a test sets another script."""
    receiver = Receiver()
    yield receiver
    receiver.close()


class Live:
    """Tocsin as `make run` starts it, on a free port.

    On PostgreSQL, each data folder has a database of its own.
    """

    cluster = None

    program: tuple[str, ...] = (sys.executable, str(ROOT / "cli.py"))
    command: tuple[str, ...] = ("serve",)
    started_in = ROOT
    passed: tuple[int, ...] = ()  # descriptors that it inherits

    def __init__(self, folder, bind="127.0.0.1:{port}", **environment):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.log = open(folder / "log", "w+")  # noqa: SIM115 (closed by stop)
        others = {
            name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")
        }
        settings = {
            "TOCSIN_BIND": bind.format(port=self.port),
            "TOCSIN_DATA_DIR": str(folder / "data"),
            "TOCSIN_SENDERS": "1",  # one worker starts sooner than several
            **environment,
        }
        if self.cluster:
            name = f"live_{digest(settings['TOCSIN_DATA_DIR'])[:16]}"
            settings.setdefault("TOCSIN_DATABASE_URL", self.cluster.ensure(name))
        names = settings.keys() & {"TOCSIN_DATA_DIR", "TOCSIN_DATABASE_URL"}
        self.database = database_at(
            Config.from_env({name: settings[name] for name in names}).database
        )
        settings.setdefault("TOCSIN_ALLOW_NETWORKS", "127.0.0.0/8")
        settings.setdefault("TOCSIN_ADMIN_PASSWORD", PASSWORD)
        command = [part.format(port=self.port) for part in (*self.program, *self.command)]
        self.process = subprocess.Popen(
            command,
            env={**others, **settings},
            cwd=self.started_in,
            stdout=self.log,
            stderr=self.log,
            pass_fds=self.passed,
        )

    def ready(self, seconds=20.0):
        """Wait until Tocsin responds; return the seconds.

        Raises:
            AssertionError: it did not start in time; the message has its log.
        """
        start = time.monotonic()
        while time.monotonic() - start < seconds and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=1):
                    return time.monotonic() - start
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"Tocsin did not start:\n{self.output()}")

    @cached_property
    def person(self):
        """A session that is signed in as admin."""
        return self.sign_in("admin")

    def sign_in(self, name):
        """Return a session that is signed in as a user with the password of all tests."""
        browser = requests.Session()
        form = {
            "csrf_token": token_in(browser.get(f"{self.url}/login", timeout=5).text),
            "username": name,
        }
        response = browser.post(
            f"{self.url}/login", {**form, "password": PASSWORD}, timeout=5, allow_redirects=False
        )
        assert response.status_code == 303, response.text
        return browser

    def create_channel(self, url, **fields):
        """Create a channel as the admin; return its id."""
        token = token_in(self.person.get(f"{self.url}/account", timeout=5).text)
        form = {**form_of(url, **fields), "csrf_token": token}
        response = self.person.post(f"{self.url}/channels", form, timeout=5, allow_redirects=False)
        assert response.status_code == 303, response.text
        return int(response.headers["Location"].split("/")[-2])

    def create_token(self, name="t", scope="ingest"):
        """Create an API token, for alerts by default, and return the headers with it."""
        return {"Authorization": f"Bearer {self.create_secret(name, scope)}"}

    def create_secret(self, name, scope="ingest"):
        """Create an API token, for alerts by default, and return it; `scope` may be several."""
        token = token_in(self.person.get(f"{self.url}/tokens", timeout=5).text)
        form = {"csrf_token": token, "name": name, "scope": scope}
        page = self.person.post(f"{self.url}/tokens", form, timeout=5).text
        return "tocsin_" + page.split('value="tocsin_')[1].split('"')[0]

    def post_alert(self, **members):
        """Store an alert by the API, with a token that is created first."""
        response = requests.post(
            f"{self.url}/api/v1/alerts", json=members, headers=self._ingest, timeout=5
        )
        assert response.status_code == 202, response.text

    @cached_property
    def _ingest(self):
        return self.create_token("alerts of the test")

    def query(self, statement, **parameters):
        """Run a statement beside the server, and return its rows."""
        with self.database.connection_context(), self.database.atomic():
            cursor = self.database.execute_sql(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def output(self):
        """Return the output so far."""
        self.log.flush()
        return (self.folder / "log").read_text()

    def stop(self):
        """Send SIGTERM; return the exit code."""
        self.process.terminate()
        if "person" in vars(self):
            self.person.close()
        try:
            return self.process.wait(8)
        finally:
            self.process.kill()
            self.process.wait()
            self.log.close()


def free_port() -> int:
    """Return a port that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session", autouse=ON_POSTGRESQL)
def live_databases(request):
    """Have every server of the tests use PostgreSQL."""
    Live.cluster = request.getfixturevalue("cluster")


@pytest.fixture(scope="session")
def live(tmp_path_factory):
    """Yield one running Tocsin for all tests that need a real server."""
    yield from running(tmp_path_factory.mktemp("live"))


@pytest.fixture(scope="module")
def own_live(tmp_path_factory):
    """Yield a running Tocsin for the tests of one module, without the channels of others."""
    yield from running(tmp_path_factory.mktemp("own_live"))


def running(folder):
    """Yield a Tocsin with its data in a folder, and stop it afterwards."""
    server = Live(folder)
    try:
        server.ready()
        yield server
    finally:
        server.stop()


@pytest.fixture
def programs(tmp_path):
    """Yield a starter of real programs, which end with the test."""
    programs = Programs(tmp_path)
    yield programs
    programs.stop()


@pytest.fixture(scope="session")
def chromium():
    """Yield Chromium; without it, skip the test, or fail in CI."""
    if not CHROMIUM:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing, and CI does not skip the browser tests")
        pytest.skip("Chromium is not installed (apt-get install chromium-headless-shell)")
    from playwright.sync_api import sync_playwright

    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()
