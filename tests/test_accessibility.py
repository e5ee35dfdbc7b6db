"""Every page, filled, in both schemes and at both widths: axe finds nothing, and it fits."""

import re

import pytest
from browsing import fresh_name, open_page, violations
from receiver import reply

pytestmark = pytest.mark.browser
SHOWN = {"GET", "HEAD", "OPTIONS"}
# Not pages: files, parts of pages, endpoints for machines and for receivers, and the way in.
OTHERS = re.compile(
    r"/(static|pulse|healthz|readyz|metrics|-/|api/|lab/in|login|setup|export"
    r"|channels/export/file)"
)


@pytest.fixture
def filled(live, receiver):
    """Return the paths of all pages of an installation in which something has happened."""
    receiver.script = reply(404, b'{"error": "no such hook"}', Content_Type="application/json")
    channel = live.create_channel(receiver.url, name=fresh_name())
    live.post_alert(name="Disk full", labels={"severity": "critical", "host": "db-1"})
    live.post_alert(name="Latency", status="open", labels={"severity": "info"})
    [[delivery, alert]] = live.query(
        "SELECT max(id), max(alert_id) FROM delivery WHERE channel_id = :id", id=channel
    )
    return {
        "channel_id": channel,
        "alert_id": alert,
        "number": delivery,
    }


def paths_of(app, ids):
    """Return the path of every page that can be opened with these ids."""
    for rule in app.url_map.iter_rules():
        if not rule.methods <= SHOWN or OTHERS.match(rule.rule):
            continue
        if rule.arguments <= ids.keys():
            with app.test_request_context():
                yield app.url_map.bind("localhost").build(rule.endpoint, _arguments(rule, ids))


def _arguments(rule, ids):
    return {name: ids[name] for name in rule.arguments}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing_on_any_page(chromium, live, app, filled, width, scheme):
    page = open_page(chromium, live, width=width, scheme=scheme)
    paths = sorted({*paths_of(app, filled), "/deliveries?since=1h", "/deliveries/replay?since=1h"})
    assert len(paths) > 15, paths
    for path in paths:
        page.goto(f"{live.url}{path}")
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert page.complaints == []
