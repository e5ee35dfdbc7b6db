"""Fixtures: an app on a temporary file, a client that carries the CSRF token, a receiver, a live server, a browser."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from jinja2 import FileSystemBytecodeCache
from markup import check_markup, token_in
from receiver import Receiver

import storage
from app import create_app
from config import Config
from models import db

ROOT = Path(__file__).parent.parent
CHROMIUM = "/usr/bin/chromium"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """The browser's tests, the longest file, go first, so that the other process does all the rest beside them."""
    items.sort(key=lambda item: "browser" not in item.keywords)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """An empty database, migrated once for all tests."""
    path = tmp_path_factory.mktemp("migrated") / "tocsin.db"
    storage.prepare(path)
    return path


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """The templates, compiled once for all tests."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def config(tmp_path, migrated):
    """A configuration in a temporary folder that allows the loopback."""
    environment = {"TOCSIN_DATA_DIR": str(tmp_path / "data"), "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8"}
    config = Config.from_env(environment).with_keys()
    shutil.copy(migrated, config.database)
    return config


@pytest.fixture
def app(config, compiled):
    """The app, its database closed afterwards."""
    app = create_app(config)
    app.jinja_env.bytecode_cache = compiled
    yield app
    db.close()


class Client:
    """Flask's client, which posts forms with the CSRF token and checks the markup of every page that comes back."""

    def __init__(self, app):
        self._client = app.test_client()
        self.token = ""

    def get(self, path, **kwargs):
        """GET, the markup checked."""
        return self._checked(self._client.get(path, **kwargs))

    def post(self, path, data=None, htmx=False, **kwargs):
        """POST of a form with the token; `htmx` asks for a fragment."""
        self.token = self.token or token_in(self._client.get("/channels/new").text)
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
    """A browser without JavaScript, in effect."""
    return Client(app)


@pytest.fixture
def receiver():
    """A receiver that says 200 until a test tells it otherwise."""
    receiver = Receiver()
    yield receiver
    receiver.close()


class Live:
    """Tocsin as `make run` starts it, on a free port."""

    def __init__(self, folder, **environment):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.log = open(folder / "log", "w+")  # noqa: SIM115 (closed by stop)
        plain = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        given = {"TOCSIN_BIND": f"127.0.0.1:{self.port}", "TOCSIN_DATA_DIR": str(folder / "data"), **environment}
        given.setdefault("TOCSIN_ALLOW_NETWORKS", "127.0.0.0/8")
        command = [sys.executable, str(ROOT / "cli.py"), "serve"]
        self.process = subprocess.Popen(command, env={**plain, **given}, cwd=ROOT, stdout=self.log, stderr=self.log)

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

    def output(self):
        """What it printed so far."""
        self.log.flush()
        return (self.folder / "log").read_text()

    def stop(self):
        """SIGTERM, and the exit code."""
        self.process.terminate()
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
    if not shutil.which(CHROMIUM):
        if os.environ.get("CI") == "true":
            pytest.fail(f"{CHROMIUM} is missing, and in CI the browser tests may not be skipped")
        pytest.skip(f"{CHROMIUM} is not installed (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    quiet += ["--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield browser
        browser.close()
