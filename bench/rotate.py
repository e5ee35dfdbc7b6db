"""Duration of `tocsin keys rotate` for 1,000 channels with secrets, and its result."""

import statistics
import tempfile
import time
from pathlib import Path

from parts.figures import figure

import database
from config import Config
from delivery.secrets.encryption import Keyring
from delivery.secrets.rotation import rotate
from delivery.settings import Header, Settings, read_settings, write_settings
from models import Channel, db

CHANNELS = 1000
ROTATIONS = 5
TARGET = 2.0  # seconds
SETTINGS = Settings(
    url="https://hooks.example.com/services/T024BE7LD/t0ken-of-the-path",
    headers=tuple(
        Header(f"X-Key-{number}", f"r0ute-4f9c2d7e81ab-{number}", secret=number < 3)
        for number in range(5)
    ),
    auth="bearer",
    auth_secret="glsa_8Jw2bYx0QmT5vNfKcR3pLzHs7EuDgA1o",
    signing="standard",
    signing_secret="whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    payload=(
        '{"team": "database", "runbook": "https://wiki.example.com/runbooks/db", '
        '"escalate": ["lead", "on call"]}'
    ),
)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        config = Config.from_env({"TOCSIN_DATA_DIR": folder}).with_keys()
        database.prepare(config.database)
        fill(Keyring(config.encryption_keys), config.secret_key)
        durations = [seconds(config) for _ in range(ROTATIONS)]
        new_key = Keyring(tuple(Path(folder, "encryption.keys").read_text().split())[:1])
        unreadable = sum(
            bool(read_settings(channel, new_key).problem) for channel in Channel.listed()
        )
        db.close()
    name = f"rotation of {CHANNELS:,} channels"
    median = statistics.median(durations)
    figure(f"{name}, median of {ROTATIONS}", median, "s", TARGET, places=2)
    figure(f"{name}, longest of {ROTATIONS}", max(durations), "s", TARGET, places=2)
    figure("channels unreadable with the new key alone", unreadable, "channels", 0, places=0)


def fill(keyring: Keyring, key: str) -> None:
    """Store the channels."""
    with db.atomic():
        for number in range(CHANNELS):
            channel = Channel.create(name=f"Team {number}", kind="", created_at=1, updated_at=1)
            write_settings(channel, SETTINGS, keyring, key)
            channel.save()


def seconds(config: Config) -> float:
    """Return the duration of one rotation, including the disk."""
    start = time.perf_counter()
    assert rotate(config).reencrypted == CHANNELS
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
