"""Prometheus with Tocsin as its Alertmanager, and as what it scrapes."""

import json
import re
from urllib.parse import quote

import pytest
from conftest import ROOT, free_port
from processes import wait_until
from programs import Programs, documented, find_program, get_json, run
from receiver import Receiver, reply

CONFIGURATION = """
global: {{scrape_interval: 400ms, scrape_timeout: 400ms, evaluation_interval: 400ms}}
rule_files: [rules.yml, {root}/deploy/prometheus/rules.yml]
{alerting}
{scraping}
  - job_name: prometheus
    static_configs: [{{targets: ["{own}"]}}]
  - job_name: room
    static_configs: [{{targets: ["{thermometer}"]}}]
"""
RULES = """
groups:
  - name: room
    rules:
      - alert: TooHot
        expr: last_over_time(temperature_celsius[1m]) > 30  # a scrape may be late
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.room }} has {{ $value }} °C"}
"""


class Thermometer(Receiver):
    """What Prometheus scrapes: the temperature of a room, which a test sets."""

    def set(self, celsius):
        metric = f'temperature_celsius{{room="servers"}} {celsius}\n'
        self.script = reply(200, metric.encode(), Content_Type="text/plain; version=0.0.4")


class Prometheus:
    """A running Prometheus that scrapes the thermometer, itself and a Tocsin.

    It knows Tocsin by the examples of the documentation.
    """

    def __init__(self, folder, live, thermometer):
        self.programs = Programs(folder)
        for scope in ("ingest", "metrics"):
            (folder / f"{scope}.token").write_text(live.create_secret(scope, scope))
        (folder / "rules.yml").write_text(RULES)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        configuration = CONFIGURATION.format(
            root=ROOT,
            alerting=documented(
                "ingest.md",
                r"```yaml\n(alerting:.*?)```",
                {
                    "/etc/prometheus/tocsin.token": f"{folder}/ingest.token",
                    "tocsin.lan:8000": f"127.0.0.1:{live.port}",
                },
            ),
            scraping=documented(
                "api.md",
                r"```yaml\n(scrape_configs:.*?)```",
                {
                    "/etc/prometheus/tocsin.token": f"{folder}/metrics.token",
                    "127.0.0.1:8000": f"127.0.0.1:{live.port}",
                },
            ),
            own=f"127.0.0.1:{port}",
            thermometer=f"127.0.0.1:{thermometer.port}",
        )
        (folder / "prometheus.yml").write_text(configuration)
        self.programs.start(
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


@pytest.fixture(scope="module")
def thermometer():
    """Yield a thermometer at 20 °C."""
    thermometer = Thermometer()
    thermometer.set(20)
    yield thermometer
    thermometer.close()


@pytest.fixture(scope="module")
def running_prometheus(own_live, thermometer, tmp_path_factory):
    """Yield a running Prometheus that sends its alerts to Tocsin, and scrapes it."""
    find_program("prometheus")
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), own_live, thermometer)
    yield prometheus
    prometheus.programs.stop()


@pytest.fixture
def prometheus(running_prometheus):
    """Yield the running Prometheus, whose log is shown if the test fails."""
    yield running_prometheus
    running_prometheus.programs.print_logs()


def events(receiver):
    """Return what a receiver was notified of."""
    alerts = [json.loads(request.body)["alert"] for request in receiver.requests]
    return ["flapping" if alert.get("flapping") else alert["status"] for alert in alerts]


def test_alerts_of_prometheus_are_delivered_and_flapping_ones_are_not(
    own_live, receiver, thermometer, prometheus
):
    own_live.create_channel(receiver.url, name="Room", matchers="alertname=TooHot")

    def turn(celsius, status):
        """Set the temperature, and wait until Tocsin knows what Prometheus makes of it."""
        thermometer.set(celsius)
        shown = f'id="alert-{alert_id}" data-status="{status}"'
        wait_until(lambda: shown in page("/alerts"))

    def page(path):
        return own_live.person.get(own_live.url + path, timeout=5).text

    thermometer.set(41)
    assert receiver.wait_for(1, 15)
    (alert_id,) = re.findall(r'id="alert-(\d+)"(?=(?:(?!<li).)*TooHot)', page("/alerts"), re.DOTALL)
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
    assert "The alert is flapping" in page(f"/alerts/{alert_id}")
    assert events(receiver) == expected


def test_the_dashboard_and_the_rules_use_metrics_that_prometheus_scrapes(
    own_live, receiver, prometheus
):
    own_live.create_channel(receiver.url, name="Disks", matchers="alertname=DiskFull")
    own_live.post_alert(name="Disk full", labels={"alertname": "DiskFull"})
    wait_until(lambda: prometheus.query('tocsin_deliveries{state="delivered"} > 0'))
    assert prometheus.query('up{job="tocsin"}')[0][1] == 1
    wait_until(lambda: prometheus.query("tocsin_attempts_total > 0"))
    wait_until(lambda: prometheus.query('up{job="prometheus"} == 1'))
    groups = get_json(f"{prometheus.url}/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    expressions = expressions_of_dashboard()
    names = set(get_json(f"{prometheus.url}/api/v1/label/__name__/values")["data"])
    for expression in (*expressions, *(rule["query"] for rule in rules)):
        assert names >= set(re.findall(r"\b(?:tocsin|prometheus)_\w+", expression))
    assert [rule["lastError"] for rule in rules if rule.get("lastError")] == []
    assert len(rules) == 10
    # A rate needs two samples. No channel is in trouble.
    only_trouble = ['sort_desc(tocsin_channel_trouble_seconds{instance=~".*"} > 0)']
    wait_until(lambda: [each for each in expressions if not prometheus.query(each)] == only_trouble)


def test_the_alert_rules_do_what_they_say():
    folder = ROOT / "deploy" / "prometheus"
    assert "SUCCESS" in run("promtool", "check", "rules", folder / "rules.yml")
    run("promtool", "test", "rules", folder / "rules_test.yml")


def expressions_of_dashboard():
    """Return the expressions of the Grafana dashboard, with the variables filled in."""
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "tocsin.json").read_text())
    targets = [target for panel in dashboard["panels"] for target in panel["targets"]]
    variables = {"$instance": ".*", "$__rate_interval": "1m"}
    expressions = []
    for target in targets:
        expression = target["expr"]
        for name, value in variables.items():
            expression = expression.replace(name, value)
        assert "$" not in expression
        expressions.append(expression)
    return expressions
