"""`crontab.example`, as it is, in the hands of Debian's own cron."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.helpers import daemon_namespace
from tests.helpers.users import Users, bonus_user, discount_user

pytestmark = pytest.mark.deploy

ROOT = Path(__file__).parents[2]
CRONTAB = ROOT / "crontab.example"
LINES = [
    line for line in CRONTAB.read_text("utf-8").splitlines() if line and not line.startswith("#")
]
ASSIGNED = dict(line.split("=", 1) for line in LINES if re.match(r"\w+=", line))
ENTRIES = [line.split(" ", 5) for line in LINES if not re.match(r"\w+=", line)]
BONUS, DISCOUNT = "ozh-notify-daily-bonus", "ozh-notify-discount"


CRON = r"""
rm -rf /etc/crontab /etc/cron.d/* /dev/log   # only what stands in our crontab may run
touch /run/log && mount --bind "$syslog" /run/log && ln -s /run/log /dev/log
cd "$root"
eval "$told"
cd /var/lib/ozh-notify
eval "$before"
exec env TZ=UTC LD_PRELOAD="$libfaketime" FAKETIME="$clock" cron -f
"""
LIBFAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


class Syslog:
    """What programs send to /dev/log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        path.chmod(0o666)
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


@pytest.mark.skipif(not LIBFAKETIME, reason="missing: libfaketime")
@daemon_namespace.needs("cron", "crontab", "flock", "logger", "setpriv")
def test_both_entries_pasted_as_they_are_run_log_and_lock(
    environment: dict[str, str], users: Users, bot_api: BotApiServer, syslog: Syslog, tmp_path: Path
) -> None:
    """Installed as the page says, cron starts each pass, which logs and keeps out a second one.

    With a minute a second it is 11:04:30. A daily bonus, started by hand with the very line of
    the crontab, is still at work when cron's own is due at 11:05; at 11:07 the discount is due.
    """
    users.insert_many([bonus_user(), discount_user(), discount_user()])
    newcomer = users.find_one({"generations_count": {"$ne": 1}}) or {}
    bot_api.control.rules([{"do": "slow", "chat_id": newcomer["telegram_id"], "seconds": 5}])
    [by_hand] = [entry[5] for entry in ENTRIES if entry[5].endswith(BONUS)]
    line = f"PATH={ASSIGNED['PATH']}; {by_hand}"
    by_user = (
        f"setpriv --reuid=ozh-notify --regid=ozh-notify --clear-groups sh -c {shlex.quote(line)}"
    )

    def bonus() -> str:
        return syslog.of(BONUS)

    def discount() -> str:
        return syslog.of(DISCOUNT)

    with daemon_namespace.running(
        CRON,
        tmp_path,
        syslog=syslog.path,
        settings=daemon_namespace.env_file(tmp_path / "env", environment),
        root=ROOT,
        told=daemon_namespace.told("crontab -u").replace("apt-get install cron\n", ""),
        before=f"{by_user} & sleep 1",
        libfaketime=LIBFAKETIME,
        clock="@2026-11-24 11:04:30 x60",
    ):
        ended = "finished: ok, exit 0"
        daemon_namespace.until(
            lambda: ended in bonus() and ended in discount(), 45, lambda: bonus() + discount()
        )
    assert bonus().index("exit code 75") < bonus().index(ended), "the second was not refused"
    assert bonus().count("bot @") == 1, "two passes ran at once"
    assert "sent 2" in discount()
    chats = sorted(message.chat_id for message in bot_api.control.messages())
    assert chats == sorted(found["telegram_id"] for found in users.find())


def test_the_schedule_is_off_the_full_hour_and_tries_thrice() -> None:
    """The two campaigns never start in the same minute; one lost run costs no day."""
    schedules = {entry[5].rsplit(" ", 1)[1]: " ".join(entry[:5]) for entry in ENTRIES}
    assert schedules == {DISCOUNT: "7-59/15 * * * *", BONUS: "5,25,45 11 * * *"}


def test_no_line_falls_into_a_trap_of_crons() -> None:
    """No bare percent sign, a path with everything in it, names that the program knows."""
    assert all("%" not in line for line in LINES)
    assert ASSIGNED.keys() == {"SHELL", "PATH"}
    assert ASSIGNED["PATH"].split(":")[0] == "/opt/ozh-notify/bin"
    assert CRONTAB.read_bytes().endswith(b"\n"), "cron ignores a last line without its end"


@pytest.mark.skipif(not shutil.which("crontab"), reason="apt-get install cron")
def test_crontab_itself_accepts_the_file() -> None:
    """`crontab -n` looks for mistakes, and installs nothing."""
    command = ["crontab", "-n", str(CRONTAB)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
