"""The bundle and the wheel, built once for all tests."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def build_once(factory, name, *command):
    """Return the path of a file, or folder, that a command makes; its path is the last argument.

    pip needs a network for it. Without one, skip the test, or fail in CI.
    """
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # which all processes of this run share
    path = folder / name
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            done = subprocess.run([sys.executable, *command, path], capture_output=True, text=True)
            if done.returncode:
                _give_up(f"{name} cannot be built:\n{done.stdout}{done.stderr}")
    return path


def _give_up(reason):
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
