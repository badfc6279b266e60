"""Metrics of a pass, as Prometheus sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ozh_notify.monitoring.metrics import PassMetrics
from ozh_notify.monitoring.targets import Targets
from ozh_notify.passes.latency import SendTimes
from ozh_notify.passes.result import Result
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers import watching
from tests.helpers.users import Users, bonus_user, discount_user

LAST_SUCCESS = "ozh_notify_last_success_timestamp_seconds"


@dataclass(frozen=True)
class Monitoring:
    """All three programs."""

    folder: Path
    pushgateway: str
    prometheus: str


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    """node_exporter and Pushgateway, scraped by Prometheus."""
    logs, folder = tmp_path_factory.mktemp("logs"), tmp_path_factory.mktemp("textfiles")
    with watching.node_exporter(folder, logs) as node, watching.pushgateway(logs) as push:
        targets = {"node": node, "push": push}
        with watching.prometheus(targets, logs) as url:
            yield Monitoring(folder, push, url)


def samples(path: Path) -> dict[tuple[str, str, str], float]:
    """Figures of all textfiles by name, campaign and shard; outcomes by ``name:state``."""
    found = {}
    for file in sorted(path.parent.glob("*.prom")):
        for sample in (
            s for f in text_string_to_metric_families(file.read_text()) for s in f.samples
        ):
            detail = sample.labels.get("state") or sample.labels.get("le")
            name = f"{sample.name}:{detail}" if detail else sample.name
            found[name, sample.labels["campaign"], sample.labels["shard"]] = sample.value
    return found


def quiet_now() -> str:
    """Quiet hours, in UTC, that the present is well inside of."""
    now = datetime.now(timezone.utc)
    return f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=1):%H:%M}"


@watching.needs("prometheus", "prometheus-node-exporter", "prometheus-pushgateway")
def test_a_prometheus_query_returns_the_figures_of_the_last_pass_by_either_way(
    ozh: Ozh, users: Users, bot_api: BotApiServer, monitoring: Monitoring
) -> None:
    """What a pass printed is what Prometheus says; a failed pass keeps the last success."""
    users.insert_many([discount_user() for _ in range(12)])
    bot_api.control.rules([{"do": "blocked", "every": 6}])
    ways: dict[str, Any] = {
        "OZH_METRICS_FILE": str(monitoring.folder / "ozh_{campaign}.prom"),
        "OZH_PUSHGATEWAY_URL": monitoring.pushgateway,
    }
    first = ozh("discount", "--json", **ways)
    result = first.json()
    assert (result["sent"], result["unreachable"]) == (10, 2), first.err
    assert "WARNING" not in first.err
    succeeded = datetime.fromisoformat(result["finished_at"]).timestamp()

    def figure(name: str, job: str, labels: str = "") -> float | None:
        selector = f'{name}{{job="{job}",campaign="discount",shard="0"{labels}}}'
        return watching.value(monitoring.prometheus, selector)

    def until(name: str, job: str, wanted: float) -> None:
        watching.eventually(lambda: figure(name, job) == wanted)

    for job in ("node", "ozh-notify"):
        until("ozh_notify_pass_eligible", job, 12)
        assert figure("ozh_notify_pass_outcomes", job, ',state="sent"') == 10
        assert figure("ozh_notify_pass_outcomes", job, ',state="unreachable"') == 2
        assert figure("ozh_notify_pass_exit_code", job) == 0
        assert figure("ozh_notify_send_seconds_count", job) == 12
        assert figure(LAST_SUCCESS, job) == pytest.approx(succeeded, abs=0.01)
        info = f'ozh_notify_build_info{{job="{job}"}}'
        assert watching.query(monitoring.prometheus, info)[0]["metric"]["version"]

    users.insert_many([discount_user() for _ in range(3)])
    assert ozh("discount", "--json", "--max-recipients", "2", **ways).code == 77
    for job in ("node", "ozh-notify"):
        until("ozh_notify_pass_exit_code", job, 77)
        assert figure(LAST_SUCCESS, job) == pytest.approx(succeeded, abs=0.01)
        assert (figure("ozh_notify_last_run_timestamp_seconds", job) or 0) > succeeded + 0.1
    errors = watching.query(monitoring.prometheus, "node_textfile_scrape_error")
    assert [error["value"][1] for error in errors] == ["0"]


@watching.needs("prometheus-pushgateway")
def test_shards_push_beside_each_other(
    ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """Pods of one campaign do not overwrite each other's figures."""
    users.insert_many([discount_user(), discount_user()])
    with watching.pushgateway(tmp_path) as url:
        for arguments in (("discount", "--shard", "0/2"), ("discount", "--shard", "1/2")):
            assert ozh(*arguments, OZH_PUSHGATEWAY_URL=url).code == 0
        text = watching.get(url + "/metrics")
    series = r'^ozh_notify_pass_eligible\{campaign="discount".*shard="(.)"\} (.)'
    assert sorted(re.findall(series, text, re.MULTILINE)) == [("0", "2"), ("1", "0")]


def test_each_campaign_and_each_shard_has_a_file_of_its_own(
    ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """No pass touches what another one wrote; node_exporter may read them all."""
    users.insert_many([discount_user(), discount_user(), bonus_user()])
    file = tmp_path / "ozh_{campaign}.prom"
    for arguments in (("discount", "--shard", "1/2"), ("discount",), ("daily-bonus",)):
        assert ozh(*arguments, OZH_METRICS_FILE=str(file)).code == 0
    found = samples(file)
    assert found["ozh_notify_pass_outcomes:sent", "discount", "1"] == 2
    assert found["ozh_notify_pass_outcomes:sent", "discount", "0"] == 0
    assert found["ozh_notify_pass_outcomes:sent", "daily-bonus", "0"] == 1
    files = {one.name: one.stat().st_mode & 0o777 for one in tmp_path.glob("*.prom")}
    names = ("ozh_discount_1.prom", "ozh_discount.prom", "ozh_daily_bonus.prom")
    assert files == dict.fromkeys(names, 0o644)


def test_a_failed_pass_keeps_the_time_of_the_last_good_one(
    ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """The alert compares with it."""
    file = tmp_path / "ozh_{campaign}.prom"
    users.insert_one(discount_user())
    assert ozh("discount", OZH_METRICS_FILE=str(file)).code == 0
    series = ("ozh_notify_last_success_timestamp_seconds", "discount", "0")
    before = samples(file)[series]
    users.insert_many(discount_user() for _ in range(3))
    assert ozh("discount", OZH_METRICS_FILE=str(file), OZH_MAX_RECIPIENTS="1").code == 77
    found = samples(file)
    assert found[series] == before
    assert found["ozh_notify_pass_exit_code", "discount", "0"] == 77


def test_the_campaign_is_spelled_as_files_and_as_addresses_spell_it(
    ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """``{campaign}`` is ``daily_bonus`` in a file's name, else ``daily-bonus``; no draft stays."""
    folder = tmp_path / "textfiles"
    folder.mkdir()
    file = str(folder / "{campaign}.prom")
    with watching.receiver() as switch:
        ping = switch.url + "/{campaign}"
        assert ozh("daily-bonus", OZH_METRICS_FILE=file, OZH_PING_URL=ping).code == 0
    assert [file.name for file in folder.iterdir()] == ["daily_bonus.prom"]
    assert switch.paths == ["/daily-bonus/start", "/daily-bonus/0"]


def test_quiet_hours_are_a_success_of_the_discount_and_none_of_the_daily_bonus(
    ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """At night the discount has nothing to do; a bonus that only tries at night reaches nobody."""
    file = tmp_path / "ozh_{campaign}.prom"
    for campaign in ("discount", "daily-bonus"):
        done = ozh(campaign, OZH_METRICS_FILE=str(file), OZH_QUIET_HOURS=quiet_now())
        assert done.code == 0
    found = samples(file)
    assert (LAST_SUCCESS, "discount", "0") in found
    assert (LAST_SUCCESS, "daily-bonus", "0") not in found
    assert found["ozh_notify_pass_exit_code", "daily-bonus", "0"] == 0


def test_wrong_settings_are_reported_as_far_as_they_can_be_read(
    ozh: Ozh, users: Users, tmp_path: Path
) -> None:
    """A typo in one variable does not silence the metrics that would tell of it."""
    users.insert_one(discount_user())
    file = tmp_path / "ozh_{campaign}.prom"
    assert ozh("discount", OZH_METRICS_FILE=str(file)).code == 0
    succeeded = samples(file)[LAST_SUCCESS, "discount", "0"]
    done = ozh("discount", OZH_METRICS_FILE=str(file), OZH_RATE_LIMIT="fast", MONGO_URI=None)
    assert done.code == 78
    found = samples(file)
    assert found["ozh_notify_pass_exit_code", "discount", "0"] == 78
    assert found[LAST_SUCCESS, "discount", "0"] == succeeded


def test_the_histogram_tells_how_long_telegram_took(
    ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """Each send is counted once, in the bucket of its seconds."""
    users.insert_many([discount_user() for _ in range(3)])
    bot_api.control.rules([{"do": "slow", "seconds": 0.3, "times": 2}])
    file = tmp_path / "ozh_{campaign}.prom"
    assert ozh("discount", OZH_METRICS_FILE=str(file)).code == 0
    found = samples(file)
    assert found["ozh_notify_send_seconds_bucket:0.25", "discount", "0"] == 1
    assert found["ozh_notify_send_seconds_bucket:+Inf", "discount", "0"] == 3
    assert 0.6 <= found["ozh_notify_send_seconds_sum", "discount", "0"] < 2


def test_no_reader_sees_half_of_a_file(tmp_path: Path) -> None:
    """The file is replaced as a whole, also by passes that overlap."""
    file = tmp_path / "ozh_discount.prom"
    result = Result.without_pass("discount", datetime.now(timezone.utc))
    targets = Targets("discount", False, "0", file, None, None, None, False)
    metrics = [PassMetrics(targets, result, SendTimes()) for _ in range(12)]
    metrics[0].write()
    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(one.write) for one in metrics]
        while not all(future.done() for future in writing):
            assert "ozh_notify_build_info" in file.read_text()
    assert [future.exception() for future in writing] == [None] * 12
    assert [one.name for one in tmp_path.iterdir()] == ["ozh_discount.prom"]


@pytest.mark.parametrize("trouble", ["refuses", "no folder"])
def test_metrics_that_cannot_be_delivered_are_one_warning(
    ozh: Ozh, users: Users, bot_api: BotApiServer, trouble: str, tmp_path: Path
) -> None:
    """The outcome stays, and no password is printed."""
    users.insert_one(discount_user())
    with watching.receiver() as gateway:
        gateway.statuses = [503]
        url = gateway.url.replace("//", "//operator:p4ssw0rd-that-nobody-may-see@")
        ways: dict[str, Any] = {"OZH_PUSHGATEWAY_URL": url}
        if trouble == "no folder":
            ways = {"OZH_METRICS_FILE": str(tmp_path / "missing" / "{campaign}.prom")}
        done = ozh("discount", "--json", **ways)
    assert (done.code, done.json()["sent"]) == (0, 1)
    assert done.err.count("WARNING") == 1
    assert "retrieved" not in done.err  # as asyncio says of an error that nobody looked at
    assert next(iter(ways)) in done.err
    if trouble != "no folder":
        assert gateway.headers[0]["Authorization"].startswith("Basic ")


@pytest.mark.parametrize("arguments", [("--dry-run",), ("--user", "7"), ("--test-to", "7")])
def test_trial_runs_are_reported_nowhere(
    ozh: Ozh, users: Users, bot_api: BotApiServer, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """A dry run, a sample and a pass for single users disturb neither figures nor switch."""
    users.insert_one(discount_user(telegram_id=7))
    file = tmp_path / "ozh_{campaign}.prom"
    with watching.receiver() as server:
        done = ozh(
            "discount",
            *arguments,
            OZH_METRICS_FILE=str(file),
            OZH_PUSHGATEWAY_URL=server.url,
            OZH_PING_URL=server.url + "/ping",
            OZH_ADMIN_CHAT_ID="424242",
            OZH_ADMIN_DIGEST="all",
        )
    assert done.code == 0, done.err
    assert (file.exists(), server.paths) == (False, [])
    assert 424242 not in [message.chat_id for message in bot_api.control.messages()]


def test_a_pass_over_an_empty_collection_is_no_success(
    ozh: Ozh, users: Users, bot_api: BotApiServer, tmp_path: Path
) -> None:
    """A mistyped database would be green for ever, and nobody messaged."""
    file = tmp_path / "x_discount.prom"
    pattern = str(tmp_path / "x_{campaign}.prom")
    typo: dict[str, Any] = {"MONGO_DB_NAME": f"{users.database.name}x"}
    wrong = ozh("discount", OZH_METRICS_FILE=pattern, **typo)
    assert wrong.code == 0
    assert "are MONGO_DB_NAME and OZH_USERS_COLLECTION right?" in wrong.err
    assert f"\n{LAST_SUCCESS}" not in file.read_text()
    users.insert_one(discount_user())
    assert ozh("discount", OZH_METRICS_FILE=pattern).code == 0
    assert f"\n{LAST_SUCCESS}" in file.read_text()
