"""The wheel: installed by pip, and served by gunicorn by hand from an empty folder."""

import os
import re
import subprocess
import sys
import sysconfig
import threading

import pytest
from channels import form_of
from conftest import Live
from installed import ROOT, build_once
from markup import token_in
from processes import children_of, wait_until
from receiver import silence
from test_bundle import run

INSTALL = """
import subprocess, sys
from pathlib import Path
sys.path.insert(0, {bundle!r})
from build import build_wheel
target = Path(sys.argv[1])
wheel = build_wheel(target.with_name("wheel"))
pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
subprocess.run([*pip, "--target", target, wheel], check=True)
"""
LIBRARIES = sysconfig.get_path("purelib")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """Return the folder into which pip has installed the wheel."""
    script = INSTALL.format(bundle=str(ROOT / "bundle"))
    return build_once(tmp_path_factory, "installed", "-c", script)


@pytest.fixture
def served(wheel, tmp_path):
    """Return a function that serves the wheel from an empty folder by gunicorn."""
    servers = []

    def served(*options, **environment):
        class ByHand(Live):
            program = (sys.executable, "-P", "-m", "gunicorn")
            started_in = tmp_path / "empty"  # with the sources, gunicorn would read their settings
            command = (*options, "--bind", "127.0.0.1:{port}", "wsgi:app")

        (tmp_path / "empty").mkdir()
        path = os.pathsep.join([str(wheel), LIBRARIES])
        servers.append(ByHand(tmp_path, PYTHONPATH=path, GUNICORN_CMD_ARGS="", **environment))
        servers[-1].ready()
        return servers[-1]

    yield served
    for server in servers:
        server.stop()


def settings_of(wheel):
    """Return the path of gunicorn's settings, as docs/installing.md finds it."""
    command = "from serving.server import SETTINGS; print(SETTINGS)"
    assert f"python -c '{command}'" in (ROOT / "docs" / "installing.md").read_text()
    path = os.pathsep.join([str(wheel), LIBRARIES])
    done = subprocess.run(
        [sys.executable, "-c", command],
        env={"PYTHONPATH": path},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("options", "processes"),
    [
        ((), 1),
        (("--preload",), 1),
        (("--workers", "4"), 4),
        (("--workers", "4", "--preload"), 4),
        (("--threads", "4"), 1),
        (("--config", "SETTINGS"), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_gunicorn_by_hand_serves_and_delivers(wheel, served, receiver, options, processes):
    settings = settings_of(wheel)
    assert settings == str(wheel / "gunicorn.conf.py")
    server = served(*(settings if option == "SETTINGS" else option for option in options))
    wait_until(lambda: len(children_of(server.process.pid)) == processes)
    channel = server.create_channel(receiver.url, timeout="3")
    server.post_alert(name="Disk full")
    assert receiver.wait_for(1, 10)
    receiver.script = silence
    waiting = threading.Thread(target=send_test, args=(server, channel, receiver.url))
    waiting.start()
    assert receiver.wait_for(2, 10)
    # While a test waits for its receiver, another one reaches the lab, which is this server.
    assert 'data-verdict="delivered"' in send_test(server, channel, lab_address(server))
    waiting.join()


def send_test(server, channel, url):
    """Send a test of a channel to a URL; return the page with its result."""
    page = server.person.get(f"{server.url}/account", timeout=10).text
    form = {**form_of(url, timeout="3"), "csrf_token": token_in(page)}
    return server.person.post(f"{server.url}/channels/{channel}/test", form, timeout=20).text


def lab_address(server):
    """Create a receiver of the lab; return its address."""
    page = server.person.get(f"{server.url}/lab", timeout=10).text
    form = {"csrf_token": token_in(page), "name": "wheel"}
    page = server.person.post(f"{server.url}/lab", form, timeout=10).text
    return re.search(re.escape(f"{server.url}/lab/in/") + "[0-9a-f]+", page)[0]


def test_the_command_of_the_wheel_works(wheel, tmp_path):
    path = os.pathsep.join([str(wheel), LIBRARIES])
    done = run(wheel / "bin" / "tocsin", "token", "list", folder=tmp_path, PYTHONPATH=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "data" / "tocsin.db").exists()
