"""The systemd units: checked by systemd's own tools, and run by a real systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ozh_notify.config.settings import SECRETS, variables
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import OZH, TOKEN
from tests.helpers import daemon_namespace
from tests.helpers.users import Users, bonus_user, discount_user

pytestmark = pytest.mark.deploy

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "contrib/systemd"
SERVICE = UNITS / "ozh-notify@.service"
TIMERS = {name: UNITS / f"ozh-notify@{name}.timer" for name in ("discount", "daily-bonus")}
WORST_SCORE = 1.5

Systemctl = Callable[..., str]

analyze = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="missing: systemd-analyze (package systemd)"
)


def values(path: Path, key: str) -> list[str]:
    """What a unit file assigns to a key, in order."""
    return re.findall(rf"^{key}=(.*)$", path.read_text("utf-8"), re.MULTILINE)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with the program where it is here: verify wants it to exist."""
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    service = folder / SERVICE.name
    service.write_text(service.read_text("utf-8").replace("/opt/ozh-notify/bin/ozh-notify", OZH))
    return folder


@analyze
def test_systemd_finds_nothing_wrong_with_the_units(units: Path) -> None:
    """No unknown key, no value that is ignored: verify says nothing at all."""
    command = ["systemd-analyze", "verify", *map(str, sorted(units.iterdir()))]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    about = [line for line in verified.stderr.splitlines() if "ozh-notify" in line]
    assert (verified.returncode, about) == (0, [])


@analyze
def test_the_service_is_hardened_and_the_document_shows_the_score(units: Path) -> None:
    """Of 10 (exposed) to 0, by systemd's own reckoning."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    asked = [*command, str(units / SERVICE.name)]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    score = re.search(r"Overall exposure level for \S+: (\d+\.\d)", said)
    assert score, said
    assert float(score[1]) <= WORST_SCORE, said
    shown = re.search(
        r"exposure level[^\n]*: (\d+\.\d)", daemon_namespace.DOCUMENT.read_text("utf-8")
    )
    assert shown
    assert float(shown[1]) >= float(score[1])


@analyze
@pytest.mark.parametrize(
    ("name", "minutes"),
    [("discount", {7, 22, 37, 52}), ("daily-bonus", {5, 25, 45})],
)
def test_a_timer_keeps_the_hours_of_the_crontab(name: str, minutes: set[int]) -> None:
    """Every quarter of an hour off the full one; thrice from 11:05 in the zone of the service."""
    [calendar] = values(TIMERS[name], "OnCalendar")
    command = ["systemd-analyze", "calendar", "--iterations=12", calendar]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = [
        datetime.strptime(when, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
        for when in re.findall(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", said)
    ]
    assert {moment.minute for moment in found} == minutes
    [zone] = [v.partition("=")[2] for v in values(SERVICE, "Environment") if "TIMEZONE" in v]
    if name == "daily-bonus":
        assert calendar.endswith(f" {zone}")
        assert {moment.hour for moment in found} == {8}, "11:00 in Moscow is 8:00 UTC"
    else:
        assert {moment.hour for moment in found} > {1, 2} or len(found) == 12


def test_the_service_names_only_variables_of_the_program() -> None:
    """A typing error in a unit would be a setting that does nothing."""
    named = {value.partition("=")[0] for value in values(SERVICE, "Environment")}
    assert named <= {*variables(), *(f"{secret}_FILE" for secret in SECRETS)}
    credentials = {value.partition(":")[0] for value in values(SERVICE, "LoadCredential")}
    files = {v.partition("=%d/")[2] for v in values(SERVICE, "Environment") if "=%d/" in v}
    assert credentials == files == {"mongo_uri", "telegram_bot_token"}


SYSTEMD = r"""
mount --make-rshared /   # as on a booted machine: systemd mounts credentials from a child
mount -t tmpfs none /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /run/systemd/units
printf %s "$uri" > /etc/ozh-notify/mongo_uri
printf %s "$token" > /etc/ozh-notify/telegram_bot_token
chmod 600 /etc/ozh-notify/*
for target in sysinit basic timers sockets shutdown; do
    printf '[Unit]\nDefaultDependencies=no\n' > "$units/$target.target"
done
echo Wants=systemd-journald.service >> "$units/basic.target"
cp /lib/systemd/system/systemd-journald* "$units"
exec env SYSTEMD_UNIT_PATH="$units" container=test /lib/systemd/systemd --system \
    --unit=basic.target --log-target=console --show-status=no
"""


@pytest.fixture
def systemctl(
    environment: dict[str, str], units: Path, tmp_path: Path
) -> Iterator[Callable[..., str]]:
    """The `systemctl` of a systemd of our own that has the units as they are, and settings."""
    shutil.copy(SERVICE, units)
    secrets = ("MONGO_URI", "TELEGRAM_BOT_TOKEN")
    with daemon_namespace.running(
        SYSTEMD,
        tmp_path,
        settings=daemon_namespace.env_file(tmp_path / "env", environment, "OZH_TIMEZONE", *secrets),
        uri=environment["MONGO_URI"],
        token=TOKEN,
        units=units,
    ) as running:

        def ask(*command: str) -> str:
            done = daemon_namespace.within(running, *command)
            return done.stdout + done.stderr

        def up() -> bool:
            return "running" in ask("systemctl", "is-system-running")

        daemon_namespace.until(up, 20, (tmp_path / "stage.log").read_text)
        yield ask


def state(systemctl: Systemctl, unit: str) -> str:
    """How the last run of a unit ended, in systemd's words."""
    return systemctl("systemctl", "show", unit, "-p", "Result,ExecMainStatus,User,ActiveState")


def journal(systemctl: Systemctl, unit: str) -> str:
    """What a unit logged, with the priority info or a higher one."""
    return systemctl("journalctl", "-u", unit, "-o", "cat", "-p", "info")


real = daemon_namespace.needs("nsenter", "systemctl", "journalctl")


@real
def test_a_real_systemd_runs_both_passes(
    systemctl: Systemctl, units: Path, users: Users, bot_api: BotApiServer
) -> None:
    """By its timer and by hand: every hardening in force, secrets from credentials alone."""
    users.insert_many([bonus_user(), discount_user(), discount_user()])
    discount, bonus = (f"ozh-notify@{campaign}.service" for campaign in TIMERS)
    (units / "ozh-notify@discount.timer.d").mkdir()
    (units / "ozh-notify@discount.timer.d/soon.conf").write_text("[Timer]\nOnActiveSec=0\n")
    systemctl("systemctl", "daemon-reload")
    said = systemctl("systemctl", "start", "ozh-notify@discount.timer", bonus)
    assert "Result=success" in state(systemctl, bonus), said + journal(systemctl, bonus)
    daemon_namespace.until(
        lambda: "finished: ok, exit 0" in journal(systemctl, discount),
        20,
        lambda: state(systemctl, discount) + journal(systemctl, discount),
    )
    assert "daily-bonus finished: ok, exit 0" in journal(systemctl, bonus)
    assert "Europe/Moscow" in journal(systemctl, bonus)
    assert "User=ozh-notify" in state(systemctl, bonus)
    assert len(bot_api.control.messages()) == 3


@real
def test_a_stopped_pass_is_no_failed_unit_and_a_wrong_setting_is_one(
    systemctl: Systemctl, users: Users, bot_api: BotApiServer
) -> None:
    """SIGTERM ends a pass with 75, which the next one mends; 78 is for people to mend."""
    users.insert_many([discount_user(), discount_user()])
    unit = "ozh-notify@discount.service"
    bot_api.control.settings(latency_ms=1500)
    systemctl("systemctl", "start", "--no-block", unit)
    daemon_namespace.until(
        lambda: bool(users.find_one({"ozh_notify.discount.state": "sending"})), 20, str
    )
    systemctl("systemctl", "stop", unit)
    assert "exit 75" in journal(systemctl, unit)
    assert "ActiveState=inactive" in state(systemctl, unit)
    assert users.count_documents({"ozh_notify.discount.state": "sending"}) == 0
    systemctl("sh", "-c", "echo OZH_RATE_LIMIT=many >> /etc/ozh-notify/env")
    systemctl("systemctl", "start", unit)
    failed = state(systemctl, unit)
    assert "ExecMainStatus=78" in failed
    assert "ActiveState=failed" in failed


@real
def test_the_documented_drop_in_lets_a_pass_write_its_metrics(
    systemctl: Systemctl, units: Path, users: Users
) -> None:
    """As the document says it, word for word; node_exporter, another user, can read the file."""
    users.insert_one(discount_user())
    systemctl("mkdir", "-p", "/var/lib/prometheus/node-exporter")
    said = systemctl("sh", "-euc", daemon_namespace.told("g+w"))
    (units / "ozh-notify@.service.d").mkdir()
    (units / "ozh-notify@.service.d/metrics.conf").write_text(
        daemon_namespace.told("OZH_METRICS_FILE")
    )
    said += systemctl("systemctl", "daemon-reload")
    said += systemctl("systemctl", "start", "ozh-notify@discount.service")
    file = "/var/lib/prometheus/node-exporter/ozh_discount.prom"
    shown = systemctl("sh", "-c", f"stat -c %a {file}; cat {file}")
    assert shown.startswith("644"), said + shown + journal(systemctl, "ozh-notify@discount")
    assert 'ozh_notify_pass_outcomes{campaign="discount",shard="0",state="sent"} 1.0' in shown
