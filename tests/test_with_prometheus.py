"""Prometheus with Tocsin as its Alertmanager, and as what it scrapes."""

import json
from urllib.parse import quote

import pytest
from conftest import free_port
from processes import wait_until
from programs import get_json
from receiver import Receiver, reply

INTERVAL = "400ms"
CONFIGURATION = """
global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: {interval}}}
rule_files: [{folder}/rules.yml]
scrape_configs:
  - job_name: room
    static_configs: [{{targets: ["{exporter}"]}}]
  - job_name: tocsin
    authorization: {{credentials_file: {folder}/metrics.token}}
    static_configs: [{{targets: ["{tocsin}"]}}]
alerting:
  alertmanagers:
    - scheme: http
      authorization: {{credentials_file: {folder}/ingest.token}}
      static_configs: [{{targets: ["{tocsin}"]}}]
"""
RULES = """
groups:
  - name: room
    rules:
      - alert: TooHot
        expr: temperature_celsius > 30
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.room }} has {{ $value }} °C"}
"""


class Thermometer(Receiver):
    """What Prometheus scrapes: the temperature of a room, which a test sets."""

    def set(self, celsius):
        metric = f'temperature_celsius{{room="servers"}} {celsius}\n'
        self.script = reply(200, metric.encode(), Content_Type="text/plain; version=0.0.4")


class Prometheus:
    """A running Prometheus that scrapes the thermometer and a Tocsin."""

    def __init__(self, programs, live, thermometer):
        folder = programs.folder
        for scope in ("ingest", "metrics"):
            token = live.create_token(scope, scope)["Authorization"].removeprefix("Bearer ")
            (folder / f"{scope}.token").write_text(token)
        (folder / "rules.yml").write_text(RULES)
        configuration = CONFIGURATION.format(
            interval=INTERVAL,
            folder=folder,
            exporter=f"127.0.0.1:{thermometer.port}",
            tocsin=f"127.0.0.1:{live.port}",
        )
        (folder / "prometheus.yml").write_text(configuration)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        programs.start(
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{port}",
            url=f"{self.url}/-/ready",
        )

    def query(self, expression):
        """Return the samples of an expression: labels and value."""
        answer = get_json(f"{self.url}/api/v1/query?query={quote(expression)}")
        return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]


@pytest.fixture
def thermometer():
    """Yield a thermometer at 20 °C."""
    thermometer = Thermometer()
    thermometer.set(20)
    yield thermometer
    thermometer.close()


@pytest.fixture
def prometheus(programs, own_live, thermometer):
    """Return a running Prometheus that sends its alerts to Tocsin, and scrapes it."""
    return Prometheus(programs, own_live, thermometer)


def events(receiver):
    """Return what a receiver was notified of."""
    alerts = [json.loads(request.body)["alert"] for request in receiver.requests]
    return ["flapping" if alert.get("flapping") else alert["status"] for alert in alerts]


def test_alerts_of_prometheus_are_delivered_and_flapping_ones_are_not(
    own_live, receiver, thermometer, prometheus
):
    own_live.create_channel(receiver.url)

    def turn(celsius, status):
        """Set the temperature, and wait until Tocsin knows what Prometheus makes of it."""
        thermometer.set(celsius)
        wait_until(lambda: f'id="alert-1" data-status="{status}"' in page("/alerts"))

    def page(path):
        return own_live.person.get(own_live.url + path, timeout=5).text

    thermometer.set(41)
    assert receiver.wait_for(1, 15)
    alert = json.loads(receiver.requests[0].body)["alert"]
    assert (alert["name"], alert["status"], alert["endsAt"]) == ("TooHot", "open", None)
    assert alert["annotations"] == {"summary": "servers has 41 °C"}
    assert alert["labels"] == {
        "alertname": "TooHot",
        "instance": f"127.0.0.1:{thermometer.port}",
        "job": "room",
        "room": "servers",
        "severity": "critical",
    }
    thermometer.set(20)
    receiver.wait_for(2, 15)
    ended = json.loads(receiver.requests[1].body)["alert"]
    assert (ended["status"], ended["startsAt"]) == ("closed", alert["startsAt"])
    assert ended["endsAt"] > ended["startsAt"]

    # The fifth change within ten minutes is one too many.
    for number, celsius in enumerate((41, 20, 41), start=3):
        thermometer.set(celsius)
        receiver.wait_for(number, 15)
    expected = ["open", "closed", "open", "closed", "flapping"]
    assert events(receiver) == expected
    for celsius, status in ((20, "closed"), (41, "open"), (20, "closed"), (41, "open")):
        turn(celsius, status)
    assert "The alert is flapping" in page("/alerts/1")
    assert events(receiver) == expected


def test_prometheus_scrapes_the_metrics(own_live, receiver, prometheus):
    own_live.create_channel(receiver.url)
    wait_until(lambda: prometheus.query('up{job="tocsin"} == 1'))
    wait_until(lambda: prometheus.query('tocsin_channel_health{health="unused"} == 1'))
    assert prometheus.query("tocsin_oldest_due_seconds")[0][1] == 0
