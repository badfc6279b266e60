"""Where a benchmark runs: a server, the lean Bot API, and processes whose CPU time is counted."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pymongo
from pymongo.collection import Collection

from ozh_notify.campaigns import registry
from ozh_notify.config.load import load
from ozh_notify.config.settings import Settings
from ozh_notify.messaging.composer import Composer
from ozh_notify.sandbox import mongo
from ozh_notify.users.indexes import journal_indexes, recommended

ROOT = Path(__file__).parents[1]
OZH = str(ROOT / ".venv/bin/ozh-notify")
BASELINES = str(ROOT / ".venv-bench/bin/python")
TOKEN = "987654321:AAbenchmark-only-token_abcdefghij"  # noqa: S105 - opens nothing
LATENCY_MS = 50
JOURNAL = "ozh_notify_journal"

Users = Collection[dict[str, Any]]


@dataclass(frozen=True)
class Ran:
    """A process that has ended."""

    out: str
    seconds: float
    cpu: float
    """User and system seconds of all its threads."""
    peak: int
    """The most memory it held, in bytes (VmHWM, looked up 50 times a second)."""
    servers: dict[str, float] = field(default_factory=dict)
    """CPU seconds of the servers meanwhile."""

    def json(self) -> Any:
        """The one object on its stdout."""
        return json.loads(self.out)


class Environment:
    """One MongoDB server and one Bot API for all figures of a run."""

    def __init__(self, uri: str, kind: str, api: str, pids: dict[str, int]) -> None:
        self.uri, self.kind, self.api, self.pids = uri, kind, api, pids
        self.client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(uri, tz_aware=True)

    def users(self, name: str) -> Users:
        """The users of a fresh database that has the recommended indexes, the journal's too."""
        self.client.drop_database(f"bench_{name}")
        database, settings = self.client[f"bench_{name}"], self.settings(name)
        of_users = recommended(campaign(settings) for campaign in registry().values())
        for collection, indexes in (("users", of_users), (JOURNAL, journal_indexes())):
            for index in indexes:
                options: dict[str, Any] = {}
                if index.partial:
                    options["partialFilterExpression"] = index.partial
                if index.expire_after_seconds is not None:
                    options["expireAfterSeconds"] = index.expire_after_seconds
                database[collection].create_index(list(index.keys), name=index.name, **options)
        return database.users

    def environment(self, name: str) -> dict[str, str]:
        """Variables of a pass over that database."""
        return {
            "PATH": os.environ["PATH"],
            "MONGO_URI": self.uri,
            "MONGO_DB_NAME": f"bench_{name}",
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "OZH_TELEGRAM_API_URL": self.api,
            "OZH_TIMEZONE": "UTC",
            "OZH_DAILY_BONUS_NOT_BEFORE": "00:00",
            "OZH_MAX_RECIPIENTS": "1000000",
        }

    def settings(self, name: str) -> Settings:
        """The same as a pass reads them."""
        return load(None, self.environment(name))[0]

    def ozh(self, name: str, *arguments: str, **variables: str) -> Ran:
        """Run the installed command on that database, with further variables."""
        before = self._cpu()
        ran = run([OZH, *arguments], {**self.environment(name), **variables})
        return replace(ran, servers={who: now - before[who] for who, now in self._cpu().items()})

    def baseline(self, script: str, count: int, *options: str, name: str = "none") -> Ran:
        """Run one of the baselines with the same message."""
        text = Composer(registry()["discount"](self.settings(name))).compose("Анна", "ru").html
        command = [BASELINES, str(ROOT / f"benchmarks/baselines/{script}.py"), self.api, str(count)]
        return run([*command, *options], {**self.environment(name), "BENCH_TEXT": text})

    def arrivals(self) -> list[float]:
        """When each message came in since the last call, in seconds since the epoch."""
        with urllib.request.urlopen(f"{self.api}/times", timeout=60) as reply:  # noqa: S310
            return sorted(json.load(reply))

    def _cpu(self) -> dict[str, float]:
        return {who: _cpu_of(pid) for who, pid in self.pids.items()}


@contextmanager
def prepared() -> Iterator[Environment]:
    """Start both servers, the most faithful MongoDB there is; ends them."""
    with ExitStack() as stack:
        api = subprocess.Popen(
            [BASELINES, str(ROOT / "benchmarks/bot_api.py"), "--latency-ms", str(LATENCY_MS)],
            stdout=subprocess.PIPE,
        )
        stack.callback(mongo.stop, api)
        url = (api.stdout.readline() if api.stdout else b"").decode().split()[-1]
        uri = os.environ.get("OZH_TEST_MONGO_URI")
        pids = {"Bot API": api.pid}
        if uri:
            yield Environment(uri, "OZH_TEST_MONGO_URI", url, pids)
            return
        server = stack.enter_context(mongo.run(mongo.available()[0]))
        yield Environment(server.uri, server.kind, url, {**pids, "MongoDB": server.process.pid})


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> Ran:
    """Run a program to its end.

    Raises:
        RuntimeError: it ended with another exit code than 0; with what it said.
    """
    before, started, peak = _children(), time.perf_counter(), 0
    with subprocess.Popen(
        command, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while True:
            peak = max(peak, _peak_of(process.pid))
            try:
                out, err = process.communicate(timeout=0.02)
                break
            except subprocess.TimeoutExpired:
                continue
    seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}:\n{out}\n{err}")
    return Ran(out, seconds, _children() - before, peak)


def _children() -> float:
    """CPU seconds of the processes that have ended; one runs at a time."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_of(pid: int) -> int:
    """``ru_maxrss`` would not do: it also counts what this process held when it forked."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
