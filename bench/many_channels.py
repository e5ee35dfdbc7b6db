"""Alerts and deliveries a second with 1,000 channels, of which each alert matches one."""

import json
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

from costs import create_channel
from parts.driver import alert
from parts.figures import figure
from parts.sink import Sink, receiving
from parts.tocsin import Live, running
from parts.usage import cpu_seconds
from processes import workers_of

from app import create_app
from clock import now_ms
from config import Config
from models import db
from web.accounts.api_tokens import create_token

CHANNELS = 1000
ALERTS = 2000
PER_REQUEST = 50
WAIT_SECONDS = 300


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder, receiving() as sink:
        data = str(Path(folder, "data"))
        secret = prepare(data, sink)
        with running(TOCSIN_DATA_DIR=data) as live:
            measure(live, sink, secret)


def prepare(folder: str, sink: Sink) -> str:
    """Create an installation with its channels; return a token for alerts."""
    environment = {"TOCSIN_DATA_DIR": folder, "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8"}
    config = Config.from_env(environment)
    app = create_app(config)
    with app.app_context():
        for number in range(CHANNELS):
            create_channel(config.with_keys(), number, number, sink.url(number))
        _token, secret = create_token("bench", ["ingest"], None, "bench", now_ms())
    db.close()
    return secret


def measure(live: Live, sink: Sink, secret: str) -> None:
    """Print the figures of a running Tocsin."""
    workers = workers_of(live.process.pid)
    before = cpu_seconds(workers)
    before_all = cpu_seconds([live.process.pid])
    start = time.monotonic_ns()
    post_alerts(live.port, secret)
    posted = time.monotonic_ns()
    arrived = sink.wait_for(ALERTS, WAIT_SECONDS)
    cpu = cpu_seconds(workers) - before
    cpu_of_all = cpu_seconds([live.process.pid]) - before_all
    name = f"{CHANNELS:,} channels"
    figure(f"{name}: alerts received", ALERTS / (posted - start) * 1e9, "a second", places=0)
    rate = ALERTS / (arrived.last_ns - start) * 1e9
    figure(f"{name}: deliveries", rate, "a second", places=0)
    figure(f"{name}: CPU of the worker, a delivery", cpu / ALERTS * 1e6, "µs", places=0)
    figure(f"{name}: CPU of all, a delivery", cpu_of_all / ALERTS * 1e6, "µs", places=0)


def post_alerts(port: int, secret: str) -> None:
    """Post all alerts, one request after another; each is for another channel."""
    connection = HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    for first in range(0, ALERTS, PER_REQUEST):
        alerts = []
        for number in range(first, first + PER_REQUEST):
            one = alert(number)
            one["labels"]["team"] = f"team-{number % CHANNELS}"
            alerts.append(one)
        connection.request("POST", "/api/v1/alerts", json.dumps(alerts), headers)
        response = connection.getresponse()
        assert response.status == 202, response.read()
        response.read()


if __name__ == "__main__":
    main()
