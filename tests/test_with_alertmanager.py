"""Alertmanager as a sender of alerts, and as the receiver of a channel."""

import json
import re
from datetime import UTC, datetime

import pytest
from conftest import free_port
from processes import wait_until
from programs import documented, get_json, run

ROUTE = """
route: {receiver: tocsin, group_by: [alertname], group_wait: 0s, group_interval: 500ms}
"""
LABELS = {"alertname": "DiskFull", "instance": "db-2:9100", "severity": "critical"}


@pytest.fixture
def start_alertmanager(programs):
    """Return a function that starts Alertmanager with these receivers, and returns its URL."""

    def start(receivers):
        (programs.folder / "alertmanager.yml").write_text(ROUTE + receivers)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        programs.start(
            "prometheus-alertmanager",
            f"--config.file={programs.folder}/alertmanager.yml",
            f"--storage.path={programs.folder}/alertmanager",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            url=f"{url}/-/ready",
        )
        return url

    return start


def received(request):
    """Return the alert in the body of a webhook channel."""
    return json.loads(request.body)["alert"]


def test_alertmanager_posts_an_alert_and_its_end_to_tocsin(
    own_live, receiver, programs, start_alertmanager
):
    own_live.create_channel(receiver.url, name="Team db", matchers="alertname=DiskFull")
    (programs.folder / "tocsin.token").write_text(own_live.create_secret("alertmanager"))
    example = documented(
        "ingest.md",
        r"```yaml\n(receivers:\n  - name: tocsin\n.*?)```",
        {
            "/etc/alertmanager": str(programs.folder),
            "tocsin.lan:8000": f"127.0.0.1:{own_live.port}",
        },
    )
    url = start_alertmanager(example)
    labels = [f"{name}={value}" for name, value in LABELS.items()]
    amtool = ("amtool", "alert", "add", f"--alertmanager.url={url}")
    run(*amtool, "--annotation=summary=/var is full", *labels)
    receiver.wait_for(1, 10)
    opening = received(receiver.requests[0])
    assert (opening["status"], opening["name"], opening["labels"]) == ("open", "DiskFull", LABELS)
    assert opening["annotations"] == {"summary": "/var is full"}
    run(*amtool, f"--end={datetime.now(UTC).isoformat()}", *labels)
    receiver.wait_for(2, 10)
    closing = received(receiver.requests[1])
    assert (closing["status"], closing["labels"]) == ("closed", LABELS)
    assert closing["startsAt"] == opening["startsAt"]


def test_a_channel_sends_an_alert_and_its_end_to_alertmanager(
    own_live, receiver, start_alertmanager
):
    webhook = f"{{url: '{receiver.url}', send_resolved: true}}"
    url = start_alertmanager(f"receivers: [{{name: tocsin, webhook_configs: [{webhook}]}}]")
    matchers = 'alertname="Disk full"'
    own_live.create_channel(url, name="Rota", kind="alertmanager", matchers=matchers)
    alert = {"name": "Disk full", "labels": {"instance": "db-2:9100", "severity": "critical"}}
    own_live.post_alert(**alert, annotations={"summary": "/var is full"})
    (known,) = wait_until(lambda: get_json(f"{url}/api/v2/alerts"))
    assert known["labels"] == {"alertname": "Disk full", **alert["labels"]}
    assert known["annotations"] == {"summary": "/var is full"}
    assert known["status"]["state"] == "active"
    own_live.post_alert(**alert, status="closed")
    wait_until(lambda: get_json(f"{url}/api/v2/alerts") == [])
    receiver.wait_for(2, 10)
    firing, resolved = (json.loads(request.body)["alerts"][0] for request in receiver.requests)
    assert (firing["status"], resolved["status"]) == ("firing", "resolved")
    assert resolved["labels"] == known["labels"]
    assert re.match(r"20\d\d-", resolved["endsAt"])
    assert firing["startsAt"] == resolved["startsAt"] < resolved["endsAt"]
