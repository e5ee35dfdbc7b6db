"""Real programs of other projects, started on the loopback for one test.

Each program writes into a log, which pytest shows if the test fails, and ends by itself after
`MAX_SECONDS`, even if the tests are killed.
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parent.parent
MAX_SECONDS = 120
PACKAGES = {
    "amtool": "prometheus-alertmanager",
    "caddy": "caddy",
    "nginx": "nginx-light",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "promtool": "prometheus",
    "systemd-analyze": "systemd",
    "webhook": "webhook",
}
_PATH = f"{os.environ['PATH']}:/usr/sbin"


def find_program(name):
    """Return the path of a program; without it, skip the test, or fail in CI."""
    path = shutil.which(name, path=_PATH)
    if path:
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is missing, and CI does not skip its tests")
    return pytest.skip(f"{name} is not installed (apt-get install {PACKAGES[name]})")


def run(name, *arguments, **options):
    """Run a program to its end, and return what it printed.

    Raises:
        AssertionError: it failed, or complained; the message has its output.
    """
    command = [find_program(name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, **options)
    assert done.returncode == 0, f"{name} failed:\n{done.stdout}{done.stderr}"
    assert not done.stderr, f"{name} complained:\n{done.stderr}"
    return done.stdout


def documented(page, pattern, changes):
    """Return an example of the documentation, with other addresses and paths.

    The pattern has the example as its only group; it is searched in a page of docs/.
    """
    text = (ROOT / "docs" / page).read_text()
    example = re.search(pattern, text, re.DOTALL)[1]
    for old, new in changes.items():
        assert old in example
        example = example.replace(old, str(new))
    return example


def get_json(url, headers=None):
    """Return the JSON that a program responds with."""
    response = requests.get(url, headers=headers, timeout=5)
    assert response.status_code == 200, response.text
    return response.json()


class Programs:
    """The programs of a test, with their logs in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self._running = {}

    def start(self, name, *arguments, url, session=requests):
        """Start a program, and wait until it responds to a session at a URL on the loopback.

        Raises:
            AssertionError: it did not start in time; the message has its log.
        """
        command = ["timeout", str(MAX_SECONDS), find_program(name), *map(str, arguments)]
        with open(self._log(name), "w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        self._running[name] = process
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and process.poll() is None:
            if _responds(url, session):
                return
            time.sleep(0.02)
        raise AssertionError(f"{name} did not start:\n{self._log(name).read_text()}")

    def stop(self):
        """End every program, and print the logs for a test that failed."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.print_logs()

    def print_logs(self):
        """Print the log of every program; pytest shows it if the test failed."""
        for name in self._running:
            print(f"---- {name}\n{self._log(name).read_text()[-8000:]}")

    def _log(self, name):
        return self.folder / f"{name}.log"


def _responds(url, session):
    try:
        return session.get(url, timeout=1, allow_redirects=False).status_code < 500
    except requests.RequestException:
        return False
