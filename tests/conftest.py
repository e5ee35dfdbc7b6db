"""Fixtures: an app on a temporary file, a client that carries the CSRF token, a receiver, a live server, a browser."""

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
from argon2 import PasswordHasher
from jinja2 import FileSystemBytecodeCache
from markup import check_markup, token_in
from receiver import Receiver

import database
from app import create_app
from config import Config
from delivery.secrets import rotation
from models import Login, Role, User, db
from web.accounts.users import digest
from web.services import Services

ROOT = Path(__file__).parent.parent
# The shell draws the same pages without what only a window needs, in two thirds of the time.
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
PASSWORD = "three small bells"
QUICK = PasswordHasher(
    time_cost=1, memory_cost=8, parallelism=1
)  # a real hash takes 0.1 s, and tests make thousands


def pytest_configure():
    """Databases of tests stand in memory where the machine has room for that: their thousands of commits wait for no disk."""
    if os.access("/dev/shm", os.W_OK):
        tempfile.tempdir = "/dev/shm"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """The browser's tests, the longest file, go first, so that the other process does all the rest beside them."""
    items.sort(key=lambda item: "browser" not in item.keywords)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """A database, migrated once for all tests, with the editor `ada` and the viewer `vera`, each signed in in one browser."""
    path = tmp_path_factory.mktemp("migrated") / "tocsin.db"
    database.prepare(path)
    now, hashed = time.time_ns() // 1_000_000, QUICK.hash(PASSWORD)
    with db.connection_context():
        for name, role in (("ada", Role.EDITOR), ("vera", Role.VIEWER)):
            user = User.create(name=name, role=role, password=hashed, created_at=now)
            Login.create(digest=digest(f"cookie of {name}"), user=user, created_at=now, seen_at=now)
    return path


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """The templates, compiled once for all tests."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def config(tmp_path, migrated):
    """A configuration in a temporary folder that allows the loopback."""
    environment = {
        "TOCSIN_DATA_DIR": str(tmp_path / "data"),
        "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8",
    }
    config = Config.from_env(environment).with_keys()
    shutil.copy(migrated, config.database)
    return config


@pytest.fixture(scope="session")
def assembled(tmp_path_factory, compiled):
    """The app, put together once for all tests: its routes alone take a hundredth of a second to compile."""
    folder = tmp_path_factory.mktemp("assembled")
    app = create_app(Config.from_env({"TOCSIN_DATA_DIR": str(folder)}))
    app.jinja_env.bytecode_cache = compiled
    return app


@pytest.fixture
def app(config, assembled):
    """The app with a configuration, a database and services of this test alone."""
    database.open_database(config.database)
    assembled.extensions["tocsin"] = Services.of(config)
    assembled.config["SECRET_KEY"] = config.secret_key
    assembled.jinja_env.globals["config"] = config
    with db.connection_context():
        rotation.check(assembled.extensions["tocsin"].keyring)
    yield assembled
    db.close()


class Client:
    """Flask's client, which posts forms with the CSRF token and checks the markup of every page that comes back.

    It is signed in as the editor `ada` unless another name (or none) is given.
    """

    def __init__(self, app, name="ada"):
        self._client = app.test_client()
        self.token = ""
        if name:
            with self._client.session_transaction() as session:
                session["login"] = f"cookie of {name}"

    def get(self, path, **kwargs):
        """GET, the markup checked."""
        return self._checked(self._client.get(path, **kwargs))

    def post(self, path, data=None, htmx=False, **kwargs):
        """POST of a form with the token; `htmx` asks for a fragment."""
        self.token = self.token or token_in(
            self._client.get("/account", follow_redirects=True).text
        )
        headers = {**kwargs.pop("headers", {}), **({"HX-Request": "true"} if htmx else {})}
        form = {"csrf_token": self.token, **(data or {})}
        return self._checked(self._client.post(path, data=form, headers=headers, **kwargs))

    def without_token(self, path, data=None, **kwargs):
        """POST without any token."""
        return self._checked(self._client.post(path, data=data or {}, **kwargs))

    def _checked(self, response):
        if response.mimetype == "text/html" and response.text.startswith("<!doctype"):
            check_markup(response.text)
        return response


@pytest.fixture
def client(app):
    """A browser without JavaScript, in effect, of somebody who may do everything."""
    return Client(app)


@pytest.fixture
def viewer(app):
    """The browser of somebody who may look."""
    return Client(app, "vera")


@pytest.fixture
def stranger(app):
    """The browser of nobody who is known."""
    return Client(app, "")


@pytest.fixture
def receiver():
    """A receiver that says 200 until a test tells it otherwise."""
    receiver = Receiver()
    yield receiver
    receiver.close()


class Live:
    """Tocsin as `make run` starts it, on a free port."""

    command: tuple[str, ...] = ("serve",)

    def __init__(self, folder, **environment):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.log = open(folder / "log", "w+")  # noqa: SIM115 (closed by stop)
        plain = {
            name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")
        }
        given = {
            "TOCSIN_BIND": f"127.0.0.1:{self.port}",
            "TOCSIN_DATA_DIR": str(folder / "data"),
            **environment,
        }
        given.setdefault("TOCSIN_ALLOW_NETWORKS", "127.0.0.0/8")
        given.setdefault("TOCSIN_ADMIN_PASSWORD", PASSWORD)
        command = [sys.executable, str(ROOT / "cli.py"), *self.command]
        self.process = subprocess.Popen(
            command, env={**plain, **given}, cwd=ROOT, stdout=self.log, stderr=self.log
        )

    def ready(self, seconds=10.0):
        """Waits until it answers; the seconds that took. Fails with its log when it does not."""
        began = time.monotonic()
        while time.monotonic() - began < seconds and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=1):
                    return time.monotonic() - began
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"Tocsin did not start:\n{self.output()}")

    @cached_property
    def person(self):
        """A browser that is signed in as admin."""
        browser = requests.Session()
        form = {
            "csrf_token": token_in(browser.get(f"{self.url}/login", timeout=5).text),
            "username": "admin",
        }
        answer = browser.post(
            f"{self.url}/login", {**form, "password": PASSWORD}, timeout=5, allow_redirects=False
        )
        assert answer.status_code == 303, answer.text
        return browser

    def output(self):
        """What it printed so far."""
        self.log.flush()
        return (self.folder / "log").read_text()

    def stop(self):
        """SIGTERM, and the exit code."""
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
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def live(tmp_path_factory):
    """One running Tocsin for the tests that need a real server."""
    server = Live(tmp_path_factory.mktemp("live"))
    server.ready()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium():
    """One Chromium; skipped with a reason where there is none, unless CI must have it."""
    if not CHROMIUM:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing, and in CI the browser tests may not be skipped")
        pytest.skip("Chromium is not installed (apt-get install chromium-headless-shell)")
    from playwright.sync_api import sync_playwright

    quiet = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ]
    quiet += ["--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield browser
        browser.close()
