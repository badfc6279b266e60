"""Real Prometheus programs on 127.0.0.1, and a receiver of pings."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

START_LIMIT = 20.0
"""Seconds for a program to answer."""


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip where a program is missing, and say which package has it."""
    missing = [program for program in programs if not shutil.which(program)]
    packages = " ".join(sorted({"prometheus" if p == "promtool" else p for p in missing}))
    why = f"{', '.join(missing)} missing: apt-get install --no-install-recommends {packages}"
    return pytest.mark.skipif(bool(missing), reason=why)


def free_port() -> int:
    """A port that was free a moment ago."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], url: str, log: Path, ready: str = "/metrics") -> Iterator[str]:
    """A program until the block ends; yields its address once it answers."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as it:
        try:
            eventually(lambda: get(url + ready), START_LIMIT)
            yield url
        except AssertionError:
            pytest.fail(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
        finally:
            it.kill()


@contextmanager
def node_exporter(folder: Path, logs: Path) -> Iterator[str]:
    """The textfile collector over a folder."""
    port = free_port()
    command = [
        "prometheus-node-exporter",
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={folder}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(command, f"http://127.0.0.1:{port}", logs / "node.log") as url:
        yield url


@contextmanager
def pushgateway(logs: Path) -> Iterator[str]:
    """A Pushgateway with nothing in it."""
    port = free_port()
    command = ["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{port}"]
    with running(command, f"http://127.0.0.1:{port}", logs / "push.log") as url:
        yield url


@contextmanager
def prometheus(targets: dict[str, str], folder: Path) -> Iterator[str]:
    """A Prometheus that scrapes these addresses, by job name, every second."""
    port = free_port()
    jobs = [
        {
            "job_name": name,
            "honor_labels": True,
            "static_configs": [{"targets": [url.removeprefix("http://")]}],
        }
        for name, url in targets.items()
    ]
    config = folder / "prometheus.yml"
    # JSON is YAML.
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}))
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(command, f"http://127.0.0.1:{port}", folder / "prometheus.log", "/-/ready") as url:
        yield url


def get(url: str) -> str:
    """What an address answers, or nothing where that is an error or it does not answer."""
    try:
        with urlopen(url, timeout=5) as response:  # noqa: S310
            return str(response.read().decode())
    except OSError:
        return ""


def query(prometheus_url: str, expression: str) -> list[dict[str, Any]]:
    """The series an instant query returns."""
    answer = get(f"{prometheus_url}/api/v1/query?" + urlencode({"query": expression}))
    assert answer, f"Prometheus refuses {expression}"
    result: list[dict[str, Any]] = json.loads(answer)["data"]["result"]
    return result


def value(prometheus_url: str, expression: str) -> float | None:
    """The one figure an instant query returns, or None while it returns none."""
    found = query(prometheus_url, expression)
    assert len(found) < 2, found
    return float(found[0]["value"][1]) if found else None


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until it holds.

    Raises:
        AssertionError: it did not, in that time.
    """
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


class Receiver:
    """An HTTP server that writes down what it is asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        """Paths, query included, and bodies, in the order of arrival."""
        self.statuses: list[int] = []
        """Answers of the next requests; then 200."""
        self.headers: list[dict[str, str]] = []
        self.hangs = threading.Event()
        self.url = ""

    @property
    def paths(self) -> list[str]:
        """Where the requests went."""
        return [path for path, _ in self.requests]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver on 127.0.0.1."""
    record, over = Receiver(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            record.requests.append((self.path, body))
            record.headers.append(dict(self.headers.items()))
            if record.hangs.is_set():
                over.wait(30)
                return
            self.send_response(record.statuses.pop(0) if record.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        record.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield record
        finally:
            over.set()
            server.shutdown()
            thread.join()
