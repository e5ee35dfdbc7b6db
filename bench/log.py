"""Latency of the dashboard, the log and the list of alerts with a million deliveries.

On SQLite, and on PostgreSQL where it is installed, each page at 20 requests a second. `log.py
sqlite` or `log.py postgresql` measures one of them, and a number after that is another size than a
million. No worker runs: nothing changes, and nothing is pruned.
"""

import html
import re
import sys
import time
from collections.abc import Callable
from urllib.parse import quote

from parts.cluster import cluster, is_installed
from parts.figures import figure, percentile, plain_python, run_at_intervals, summary
from parts.filled import BUSY_ALERT, CHANNELS, fill
from parts.tocsin import Browser, Live, Web, running

SIZE = 1_000_000
INTERVAL = 1 / 20
REQUESTS = 60
WARM_UP = 6
TARGET = 50  # ms
NOTHING = "q=no+such+text"
_OLDEST = "SELECT min(id) FROM delivery"
_MIDDLE = "SELECT id FROM delivery ORDER BY id LIMIT 1 OFFSET :half"
DELIVERIES = {
    "first page": "",
    "a state": "state=failed",
    "a rare state": "state=parked",
    "what waits": "state=waiting",
    "problems": "state=problems",
    "a channel": "channel=2",
    "a channel and a state": "channel=2&state=delivered",
    "a channel and a rare state": "channel=2&state=parked",
    "an alert": f"alert={BUSY_ALERT}",
    "an alert, a channel and a state": f"alert={BUSY_ALERT}&channel=1&state=failed",
    "the last hour": "since=1h",
    "an earlier hour": "since=2h&until=1h",
    "an earlier hour of a state": "since=2h&until=1h&state=given_up",
    "a severity": "severity=critical",
    "a reason": "reason=http_status",
    "matchers that match many": 'matchers=team="database", instance=~"db-.*"',
    "matchers that match few": "matchers=team=storage",
    "a text that many have": "q=93+%25+full",
    "all filters": "q=full&channel=2&state=failed&severity=critical&reason=http_status"
    "&matchers=team=database&since=3h&until=1m",
    "matchers that match nothing": 'matchers=team="web"',
    "a text that nothing has": NOTHING,
    "a text that nothing has, in a state of few": f"state=dropped&{NOTHING}",
    "a reason that none has": "reason=tls_expired",
}
ALERTS = {
    "first page": "",
    "open": "status=open",
    "closed": "status=closed",
    "a severity": "severity=critical",
    "open of a severity": "status=open&severity=critical",
    "closed of a severity": "status=closed&severity=critical",
    "a text that many have": "q=93+%25+full",
    "a text that nothing has": NOTHING,
    "matchers that match few": "matchers=team=storage",
    "an earlier hour": "since=2h&until=1h",
}


def main(name: str = "", size: int = SIZE) -> None:
    if name != "postgresql":
        measure("SQLite", size)
    if name != "sqlite" and is_installed():
        with cluster() as server:
            measure("PostgreSQL", size, TOCSIN_DATABASE_URL=server.create("log"))


def measure(name: str, size: int, **environment: str) -> None:
    """Print the latency of each page with so many deliveries."""
    with running(Web, **environment) as live:
        browser = Browser(live.port)
        for number in range(CHANNELS):
            browser.create_channel("http://127.0.0.1:9/hook", name=f"Channel {number}")
        started = time.perf_counter()
        with live.database.connection_context():
            fill(live.database, size)
        seconds = time.perf_counter() - started
        print(f"{name}: {size:,} deliveries, stored in {seconds:.0f} s", flush=True)
        reference = run_at_intervals(plain_python, INTERVAL, REQUESTS)
        figure("reference, a loop in plain Python: p95", percentile(reference, 95), "ms")
        browser.close()  # the server ends an idle connection
        slowest = 0.0
        for page, path in pages(live, browser, size).items():
            status = 204 if path.startswith("/pulse?seen=") else 200
            p95 = latency(page, lambda path=path, status=status: browser.get(path, status))
            slowest = max(slowest, p95)
        figure(f"the slowest page of {name}, p95", slowest, "ms", TARGET)


def pages(live: Live, browser: Browser, size: int) -> dict[str, str]:
    """Return the path of each page by its name."""
    [(oldest,)] = live.query(_OLDEST)
    [(middle,)] = live.query(_MIDDLE, half=size // 2)
    poll = _link(r'hx-get="([^"]+)"', browser.get("/"))
    search = _link(r'href="([^"]+)">Search older', browser.get(f"/deliveries?{NOTHING}"))
    found = {
        "dashboard": "/",
        "poll of the dashboard without a change": poll,
        "poll of the dashboard after a change": "/pulse",
        "a delivery": f"/deliveries/msg_{middle}",
        "an alert": f"/alerts/{BUSY_ALERT}",
        "channels": "/channels",
        "a channel": "/channels/2/edit",
        "deliveries, in the middle": f"/deliveries?before={middle}",
        "deliveries, beyond the end": f"/deliveries?before={oldest}",
        "deliveries, the next part of a search": search,
    }
    for page, filters in (("deliveries", DELIVERIES), ("alerts", ALERTS)):
        for name, query in filters.items():
            found[f"{page}, {name}"] = quote(f"/{page}?{query}", safe="/?&=%")
    return found


def _link(pattern: str, page: str) -> str:
    """Return the address that a page has in this place."""
    match = re.search(pattern, page)
    if match is None:
        raise AssertionError(f"the page has no {pattern}")
    return html.unescape(match[1])


def latency(name: str, request: Callable[[], object]) -> float:
    """Print the latency of a request, and return its p95 in milliseconds."""
    run_at_intervals(request, INTERVAL, WARM_UP)
    durations = run_at_intervals(request, INTERVAL, REQUESTS)
    p95 = percentile(durations, 95)
    figure(f"{name}: p95", p95, "ms", TARGET)
    print(f"  {summary(durations)}")
    return p95


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
