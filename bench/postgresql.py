"""Workers on PostgreSQL, each with a data folder of its own, as on two machines.

First the rate of one worker and of two, with a receiver that responds after 20 ms. Then, under
load, one of two workers is killed, and the server of PostgreSQL is ended as by a crash and started
again. The server is on this machine as well, and does not wait for the disk.
"""

import contextlib
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import requests
from parts.cluster import Cluster, cluster, is_installed
from parts.driver import alert
from parts.figures import figure
from parts.peers import driving
from parts.sink import Sink, receiving
from parts.tocsin import Live, Web, family

RECEIVER_SECONDS = 0.02
RUNS = 3  # of one worker, and of two
ALERTS = 600
CHANNELS = 1  # a worker makes four attempts at a time for it: the receiver is the limit
MAX_SECONDS = 60
LOAD_SECONDS = 4.0  # before and after what happens
PAUSE = 0.01  # seconds between two alerts of the load


class OneWorker(Live):
    """A worker alone."""

    command = ("worker",)


class Load(threading.Thread):
    """Posts one alert after another until it is stopped; `accepted` are their numbers."""

    def __init__(self, web: Web, headers: dict[str, str]):
        super().__init__()
        self._url = f"{web.url}/api/v1/alerts"
        self._headers = headers
        self._stopped = threading.Event()
        self.accepted: list[int] = []

    def run(self) -> None:
        with requests.Session() as session:
            number = 0
            while not self._stopped.wait(PAUSE):
                number += 1
                response = session.post(
                    self._url, json=alert(number), headers=self._headers, timeout=20
                )
                if response.status_code == 202:
                    self.accepted.append(number)

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def main() -> None:
    if not is_installed():
        return
    with cluster() as server, receiving(RECEIVER_SECONDS) as sink:
        rates: dict[int, list[float]] = {1: [], 2: []}
        for number in range(2 * RUNS):
            workers = 1 + number % 2
            rates[workers].append(rate(server, sink, workers, f"rate_{number}"))
            print(f"  {workers} worker(s): {rates[workers][-1]:.0f}/s", flush=True)
        one, two = (statistics.median(rates[workers]) for workers in (1, 2))
        figure("deliveries, one worker", one, "/s", places=0)
        figure("two workers / one", two / one, "×", 1.7, 2, at_least=True)
        disturb(server, sink, "worker killed", kill)
        disturb(server, sink, "PostgreSQL restarted", restart)


@contextlib.contextmanager
def installation(
    cluster: Cluster, sink: Sink, workers: int, name: str
) -> Iterator[tuple[Web, dict[str, str], list[OneWorker]]]:
    """Start a web server and workers on a new database; yield them, and the headers for a post."""
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-")))
        url = cluster.create(name)
        web = Web(folder(root, "web"), TOCSIN_DATABASE_URL=url)
        stack.callback(web.stop)
        web.ready()
        for number in range(CHANNELS):
            web.create_channel(sink.url(number), name=f"Channel {number}")
        keys = {
            "TOCSIN_SECRET_KEY_FILE": str(root / "web" / "data" / "secret.key"),
            "TOCSIN_ENCRYPTION_KEYS_FILE": str(root / "web" / "data" / "encryption.keys"),
        }
        started = []
        for number in range(workers):
            place = folder(root, str(number))
            started.append(OneWorker(place, TOCSIN_DATABASE_URL=url, **keys))
            stack.callback(started[-1].stop)
        yield web, web.create_token(), started


def folder(root: Path, name: str) -> Path:
    """Return a new folder."""
    path = root / name
    path.mkdir()
    return path


def rate(cluster: Cluster, sink: Sink, workers: int, name: str) -> float:
    """Return how many deliveries a number of workers makes in a second."""
    with installation(cluster, sink, workers, name) as (web, headers, _):
        token = headers["Authorization"].removeprefix("Bearer ")
        with driving("post", str(web.port), "/api/v1/alerts", token) as driver:
            sink.reset()
            driver.prepare(0, 50)
            driver.go()
            sink.wait_for(50 * CHANNELS, MAX_SECONDS)
            sink.reset()
            driver.prepare(50, ALERTS)
            began = driver.go()
            count = sink.wait_for(ALERTS * CHANNELS, MAX_SECONDS)
    return ALERTS * CHANNELS / (count.last_ns - began) * 1e9


def disturb(cluster: Cluster, sink: Sink, name: str, disturbance) -> None:
    """Print what two workers under load lose and repeat when something happens."""
    sink.reset()
    database = name.replace(" ", "_").lower()
    with installation(cluster, sink, 2, database) as (web, headers, workers):
        load = Load(web, headers)
        load.start()
        time.sleep(LOAD_SECONDS)
        before = list(load.accepted)
        since = disturbance(cluster, workers)
        time.sleep(LOAD_SECONDS)
        load.stop()
        wait_for_all(sink, load.accepted)
        arrivals = sink.arrivals()
        requests_, distinct, _ = sink.count()
        times = [arrivals[key] for key in keys_of(before)]
        later = [at for at in arrivals.values() if at > since]
        figure(f"{name}: alerts accepted", len(load.accepted), "", places=0)
        lost = len(set(keys_of(load.accepted)) - set(arrivals))
        figure(f"{name}: deliveries lost", lost, "", 0, places=0)
        figure(f"{name}: deliveries repeated", requests_ - distinct, "", places=0)
        figure(f"{name}: repeats of one delivery", sink.most_arrivals() - 1, "", 1, places=0)
        recovery = max(max(times), min(later)) - since
        figure(f"{name}: until all that waited has arrived", recovery / 1e9, "s", 5)


def keys_of(numbers: list[int]) -> list[str]:
    """Return the keys under which the sink knows the deliveries of alerts."""
    paths = [Sink(0, 0).url(channel).partition(":0")[2] for channel in range(CHANNELS)]
    return [f"{path} {number}" for path in paths for number in numbers]


def wait_for_all(sink: Sink, accepted: list[int]) -> None:
    """Wait until every delivery has arrived, or for some seconds."""
    deadline = time.monotonic() + 20
    while set(keys_of(accepted)) - set(sink.arrivals()) and time.monotonic() < deadline:
        time.sleep(0.2)


def kill(_cluster: Cluster, workers: list[OneWorker]) -> int:
    """Kill a worker and what would start it again; return when."""
    since = time.monotonic_ns()
    for pid in reversed(family(workers[0].process.pid)):
        os.kill(pid, signal.SIGKILL)
    return since


def restart(cluster: Cluster, _workers: list[OneWorker]) -> int:
    """End the server of PostgreSQL as by a crash, and start it; return when it was there again."""
    with cluster.stopped():
        pass
    return time.monotonic_ns()


if __name__ == "__main__":
    main()
