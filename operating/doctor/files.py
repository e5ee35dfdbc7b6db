"""Checks of the data folder: permissions, free space, and the signs of life in it."""

import contextlib
import os
import shutil
import time
from pathlib import Path

from config import KEYS_FILE, SECRET_KEY_FILE, Config
from delivery.queue import heartbeat
from locks import file_lock
from operating.doctor.findings import Finding, fine, problem, warning
from operating.running import SERVING

MIN_FREE_BYTES = 100 * 1024 * 1024
_FOLDER = "data folder"
_DISK = "disk space"
_WORKER = "worker"


def check_permissions(config: Config) -> list[Finding]:
    """Check who else can read the data folder and the keys."""
    folder = config.data_dir
    if not folder.is_dir():
        text = f"{folder} does not exist."
        return [problem(_FOLDER, text, "Check TOCSIN_DATA_DIR, or start Tocsin to create it.")]
    found = []
    keys = [folder / name for name in (SECRET_KEY_FILE, KEYS_FILE)]
    database = [config.database] if isinstance(config.database, Path) else []
    for path in filter(Path.exists, [folder, *keys, *database]):
        status = path.stat()
        wanted = 0o700 if path == folder else 0o600
        if status.st_mode & 0o077:
            judge = problem if path in keys else warning
            text = f"{path} can be used by other users of this machine."
            found.append(judge(_FOLDER, text, f"Run: chmod {wanted:o} {path}"))
        if status.st_uid != os.geteuid():
            text = f"{path} belongs to the user {status.st_uid}, and this one is {os.geteuid()}."
            advice = "Run this command, and Tocsin, as the owner."
            found.append(warning(_FOLDER, text, advice))
    return found or [fine(_FOLDER, f"{folder} is readable by its owner alone.")]


def check_space(config: Config) -> list[Finding]:
    """Check the free space, also for a backup into the same file system."""
    folder = config.data_dir
    size = 0
    if isinstance(config.database, Path):
        folder = config.database.parent
        with contextlib.suppress(OSError):
            size = config.database.stat().st_size
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return [problem(_DISK, f"{folder}: {error.strerror}.", "Check the path, and its mount.")]
    text = f"{free / 1e6:,.0f} MB are free; the database has {size / 1e6:,.0f} MB."
    if free < MIN_FREE_BYTES:
        return [problem(_DISK, text, f"Free some space on the disk of {folder}.")]
    if free < size * 3 // 2:
        advice = "Write backups to another disk; tocsin prune may need the size of the file too."
        return [warning(_DISK, text, advice)]
    return [fine(_DISK, text)]


def check_worker(config: Config, has_leader: bool) -> list[Finding]:
    """Check that a worker gives signs of life; `has_leader` is true for one on any machine."""
    if has_leader:
        return [fine(_WORKER, "A worker is connected to the database.")]
    silent = heartbeat.seconds_silent(config.data_dir, time.time())
    if silent is not None and silent <= heartbeat.MAX_SILENCE:
        return [fine(_WORKER, f"Its last sign of life was {silent:.0f} s ago.")]
    last = "It has never run." if silent is None else f"It was last seen {silent:,.0f} s ago."
    if _is_serving(config):
        advice = "Look into Tocsin's log; without a worker of its own, start: tocsin worker"
        return [problem(_WORKER, f"{last} Nothing is delivered.", advice)]
    return [warning(_WORKER, f"Tocsin does not run here. {last}", "Start it: tocsin serve")]


def _is_serving(config: Config) -> bool:
    path = config.data_dir / SERVING
    if not path.exists():
        return False
    try:
        with file_lock(path, wait=False):
            return False
    except OSError:
        return True
