"""`crontab.example`, as it is, in the hands of Debian's own cron."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection

from ozh_notify.sandbox.botapi.client import Server
from ozh_notify.settings import variables
from tests.conftest import OZH
from tests.people import bonus_user, discount_user

ROOT = Path(__file__).parents[1]
CRONTAB = ROOT / "crontab.example"
LINES = [
    line for line in CRONTAB.read_text("utf-8").splitlines() if line and not line.startswith("#")
]
ASSIGNED = dict(line.split("=", 1) for line in LINES if re.match(r"\w+=", line))
ENTRIES = [line.split(" ", 5) for line in LINES if not re.match(r"\w+=", line)]
BONUS, DISCOUNT = "ozh-notify-daily-bonus", "ozh-notify-discount"

Users = Collection[dict[str, Any]]

# In a mount namespace of its own: nothing of this reaches the machine's own cron, /etc or /run.
STAGE = r"""
set -eu
over() {
    mkdir -p "$layers$1/up" "$layers$1/work"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$layers$1/up,workdir=$layers$1/work" "$1"
}
mount -t tmpfs none "$layers"
for folder in /etc /opt /dev /root; do over "$folder"; done
mount -t tmpfs none /run
mount -t tmpfs none /var/spool/cron
rm -rf /etc/crontab /etc/cron.d/* /dev/log   # only what stands in our crontab may run
ln -s "$syslog" /dev/log
mkdir -p /opt/ozh-notify/bin /etc/ozh-notify /var/spool/cron/crontabs
ln -s "$ozh" /opt/ozh-notify/bin/ozh-notify
cp "$settings" /etc/ozh-notify/env
cp "$crontab" /var/spool/cron/crontabs/root
chmod 600 /var/spool/cron/crontabs/root
cd /root
eval "$before"
exec env TZ=UTC LD_PRELOAD="$libfaketime" FAKETIME="$clock" cron -f
"""


def libfaketime() -> str | None:
    """The library of Debian's package."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return str(found[0]) if found else None


def why_not() -> str | None:
    """What is missing here to let a cron daemon run by itself."""
    if os.geteuid() != 0:
        return "cron needs root"
    missing = [p for p in ("cron", "unshare", "flock", "logger") if not shutil.which(p)]
    if missing or not libfaketime():
        return "apt-get install cron libfaketime util-linux bsdutils"
    probe = (
        'mount -t tmpfs none "$0" && mkdir "$0/up" "$0/work" && mount -t overlay overlay'
        ' -o "lowerdir=/etc,upperdir=$0/up,workdir=$0/work" /etc'
    )
    command = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", probe, "/mnt"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return "no mount namespace with an overlay can be made here"
    return None


WHY_NOT = why_not()
real = pytest.mark.skipif(bool(WHY_NOT), reason=str(WHY_NOT))


class Syslog:
    """What programs send to /dev/log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._lines: list[str] = []

    def of(self, tag: str) -> str:
        """Everything that was logged under a tag so far."""
        with suppress(BlockingIOError):
            while True:
                message = self._socket.recv(65536, socket.MSG_DONTWAIT)
                self._lines.append(message.decode().rstrip("\0\n"))
        return "\n".join(line for line in self._lines if f" {tag}: " in line)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


@pytest.fixture
def syslog(tmp_path: Path) -> Iterator[Syslog]:
    """A syslog of our own."""
    opened = Syslog(tmp_path / "log")
    yield opened
    opened.close()


@contextmanager
def cron(folder: Path, environment: dict[str, str], clock: str, before: str) -> Iterator[None]:
    """Debian's cron with our crontab as root's, until the block ends."""
    (folder / "layers").mkdir()
    settings = {k: v for k, v in environment.items() if k not in ("PATH", "OZH_TIMEZONE")}
    (folder / "env").write_text("".join(f'{k}="{v}"\n' for k, v in settings.items()))
    places = {
        "layers": folder / "layers",
        "syslog": folder / "log",
        "settings": folder / "env",
        "crontab": CRONTAB,
        "ozh": OZH,
        "libfaketime": libfaketime(),
        "clock": clock,
        "before": before,
    }
    env = {"PATH": os.environ["PATH"], **{name: str(value) for name, value in places.items()}}
    command = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
    with (folder / "stage.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--mount-proc", "sh", "-c", STAGE], env=env, stdout=log, stderr=log
        )
    try:
        yield
        assert process.poll() is None, (folder / "stage.log").read_text()
    finally:
        process.send_signal(signal.SIGKILL)  # and all within, by --kill-child
        process.wait()


def until(done: Callable[[], bool], limit: float, words: Callable[[], str]) -> None:
    """Wait; fails with the words when it takes too long."""
    deadline = time.monotonic() + limit
    while not done():
        if time.monotonic() > deadline:
            pytest.fail(words())
        time.sleep(0.1)


@real
def test_both_entries_pasted_as_they_are_run_log_and_lock(
    environment: dict[str, str], users: Users, bot_api: Server, syslog: Syslog, tmp_path: Path
) -> None:
    """cron starts each pass, its lines reach syslog, and one that still runs keeps out the next.

    With a minute a second it is 11:04:30. A daily bonus, started by hand with the very line of
    the crontab, is still at work when cron's own is due at 11:05; at 11:07 the discount is due.
    """
    users.insert_many([bonus_user(), discount_user(), discount_user()])
    newcomer = users.find_one({"generations_count": {"$ne": 1}}) or {}
    bot_api.control.rules([{"do": "slow", "chat_id": newcomer["telegram_id"], "seconds": 5}])
    [by_hand] = [entry[5] for entry in ENTRIES if entry[5].endswith(BONUS)]
    shell = f"PATH={ASSIGNED['PATH']} sh -c {shlex.quote(by_hand)} & sleep 1"

    def bonus() -> str:
        return syslog.of(BONUS)

    def discount() -> str:
        return syslog.of(DISCOUNT)

    with cron(tmp_path, environment, "@2026-11-24 11:04:30 x60", shell):
        ended = "finished: ok, exit 0"
        until(lambda: ended in bonus() and ended in discount(), 45, lambda: bonus() + discount())
    assert bonus().index("exit code 75") < bonus().index(ended), "the second was not refused"
    assert bonus().count("bot @") == 1, "two passes ran at once"
    assert "sent 2" in discount()
    assert "Europe/Moscow" in discount()
    chats = sorted(message.chat_id for message in bot_api.control.messages())
    assert chats == sorted(found["telegram_id"] for found in users.find())


def test_the_schedule_is_off_the_full_hour_and_tries_thrice() -> None:
    """The two campaigns never start in the same minute; one lost run costs no day."""
    schedules = {entry[5].rsplit(" ", 1)[1]: " ".join(entry[:5]) for entry in ENTRIES}
    assert schedules == {DISCOUNT: "7-59/15 * * * *", BONUS: "5,25,45 11 * * *"}


def test_no_line_falls_into_a_trap_of_crons() -> None:
    """No bare percent sign, a path with everything in it, names that the program knows."""
    assert all("%" not in line for line in LINES)
    assert ASSIGNED.keys() == {"SHELL", "PATH", "OZH_TIMEZONE"}
    assert "OZH_TIMEZONE" in variables()
    assert ASSIGNED["PATH"].split(":")[0] == "/opt/ozh-notify/bin"
    assert CRONTAB.read_bytes().endswith(b"\n"), "cron ignores a last line without its end"


@pytest.mark.skipif(not shutil.which("crontab"), reason="apt-get install cron")
def test_crontab_itself_accepts_the_file() -> None:
    """`crontab -n` looks for mistakes, and installs nothing."""
    command = ["crontab", "-n", str(CRONTAB)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
