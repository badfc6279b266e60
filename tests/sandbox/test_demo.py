"""`ozh-notify demo`: the first thing a new user runs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ozh_notify.sandbox import mongo
from ozh_notify.sandbox.demo.users import CASES, demo_users
from tests.conftest import OZH, Finished, Ozh
from tests.helpers import markdown
from tests.helpers.passes import wait_until
from tests.helpers.users import now

pytestmark = pytest.mark.skipif(
    "secantusd-py" not in mongo.available(), reason="the extra `demo` is not installed"
)

POISON = {
    "MONGO_URI": "mongodb://127.0.0.1:1/?directConnection=true",
    "MONGO_DB_NAME": "poison",
    "TELEGRAM_BOT_TOKEN_FILE": "/nonexistent/token",
    "API_KEY": "poison",
    "LOGGING_ENABLED": "perhaps",
    "OZH_RATE_LIMIT": "0.01",
    "OZH_QUIET_HOURS": "00:00-23:59",
    "OZH_USERS_COLLECTION": "poison",
    "OZH_PING_URL": "http://127.0.0.1:1/ping",
    "OZH_TELEGRAM_API_URL": "http://127.0.0.1:1",
    "OZH_TEMPLATES_DIR": "/nonexistent",
    "JOB_COMPLETION_INDEX": "7",
}
PROXIES = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:1")
SECONDS = 60


@dataclass(frozen=True)
class Place:
    """Where a demo runs: an empty folder, a place for temporary files, and a mark to find it by."""

    folder: Path
    temporary: Path
    mark: str

    def start(self, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        """Start the demo and return at once; as the leader of a group of its own."""
        return subprocess.Popen(
            [OZH, "demo", *arguments],
            env={**self.environment, **extra},
            cwd=self.folder,
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of this machine's but PATH."""
        path, temporary = os.environ["PATH"], str(self.temporary)
        return {"PATH": path, "TMPDIR": temporary, "DEMO_MARK": self.mark, "PYTHONUTF8": "1"}

    def processes(self) -> list[str]:
        """Command lines of whatever the demo has started and that still runs."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if self.mark.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
        return found

    def left_behind(self) -> list[str]:
        """Processes and files that are still there."""
        return self.processes() + [str(path) for path in self.temporary.rglob("*")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty one; what a failed test leaves running in it is ended."""
    for name in ("work", "tmp"):
        (tmp_path / name).mkdir()
    there = Place(tmp_path / "work", tmp_path / "tmp", uuid.uuid4().hex)
    yield there
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if there.mark.encode() in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


def ended(process: subprocess.Popen[str], seconds: float = SECONDS) -> Finished:
    """A demo that has ended by itself; it is killed where it does not."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"it did not end in {seconds} s:\n{process.communicate()}")
    return Finished(process.returncode, out, err)


def count(text: str, name: str) -> list[int]:
    """The figure in each table's row of that name, in order."""
    return [int(figure) for figure in re.findall(rf"^│ {name} +│ +(\d+) │", text, re.MULTILINE)]


def test_the_demo_shows_both_passes_and_reads_no_configuration(place: Place) -> None:
    """It ends with 0 in well under a minute, whatever the environment and `.env` say.

    What it prints can be read on a terminal of 80 columns and in a file; nothing is left behind.
    """
    lines = [f"{name}={value}\n" for name, value in POISON.items()]
    (place.folder / ".env").write_text("".join(lines), encoding="utf-8")
    done = ended(place.start("--users", "32", "--seed", "7", **POISON, **PROXIES))
    assert (done.code, done.err) == (0, ""), done.out
    assert [line for line in done.out.splitlines() if len(line) > 80] == []
    assert "\x1b" not in done.out
    parts = re.findall(r"^─+ (.*?) ─+$", done.out, re.MULTILINE)
    assert parts == [
        "32 made-up users",
        "ozh-notify discount --dry-run",
        "ozh-notify discount",
        "ozh-notify daily-bonus",
        "what arrived in the chats: 10 messages",
        "user documents, before and after",
        "the same passes again reach nobody",
        "ozh-notify discount",
        "ozh-notify daily-bonus",
        "did an experiment of last month bring people back?",
        "ozh-notify effect discount",
    ]
    assert "more came back: +5.00 points" in done.out
    assert count(done.out, "to be messaged") == [8]
    assert count(done.out, "sent") == [6, 4, 0, 0]
    assert '"discount_offered": true' in done.out
    assert "4 of them show the user's own last picture" in done.out
    assert re.search(r"^│ < photo AgACAgIAAxkBMadeUpPicture1000\d\d >", done.out, re.MULTILINE)
    assert done.out.endswith("Each eligible user got one message, and no user got two.\n")
    assert place.left_behind() == []
    assert [path.name for path in place.folder.iterdir()] == [".env"]
    for person in demo_users(32, 7, now()):
        if person.gets == "discount":
            assert str(person.document["telegram_id"]) in done.out, "the seed chooses the users"


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize("moment", ["while it starts", "in a pass"])
def test_an_interrupted_demo_leaves_nothing_behind(
    place: Place, number: signal.Signals, moment: str
) -> None:
    """Neither a process nor a file, also where Ctrl-C reaches all of its processes at once."""
    process = place.start("--users", "64")
    if moment == "in a pass":
        wait_until(lambda: any("ozh_notify discount" in line for line in place.processes()), moment)
    else:
        wait_until(lambda: any("secantusd" in line for line in place.processes()), moment)
    if number is signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    done = ended(process, 20)
    assert done.code == 75, done.err
    assert "Traceback" not in done.err
    wait_until(lambda: not place.left_behind(), f"nothing left, but {place.left_behind()}", 5)


def pasted(text: str, path: str = "/usr/local/bin:/usr/bin:/bin") -> dict[str, str]:
    """The variables that a shell with this PATH has after its `export` lines were pasted."""
    lines = "\n".join(line for line in text.splitlines() if line.startswith("export "))
    done = subprocess.run(
        ["/bin/sh", "-c", f"{lines}\nexec env -0"],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(word.split("=", 1) for word in done.stdout.split("\0") if word)


def served(place: Place, process: subprocess.Popen[str]) -> str:
    """What `--serve` prints once both servers are up."""
    assert process.stdout
    lines: list[str] = []
    while not lines or "Ctrl-C" not in lines[-1]:
        line = process.stdout.readline()
        assert line, f"it ended: {lines}"
        lines.append(line)
    return "".join(lines)


VARYING = re.compile(
    r"\b[0-9a-f]{24}\b|\d{8}T\d{6}-\w{8}|[-\d]{10} [:\d]{8}|0:0\d:\d\d|(?<=127\.0\.0\.1:)\d+"
    r"|(?<=sent\sin\s)[\d.]+\ss(?:,\s[\d.]+/s)?"
)
"""What differs from one time to the next: ids, runs, moments, durations, rates, ports."""


def tour() -> list[tuple[str, str]]:
    """The commands of the README's tour, each with what it is said to print."""
    text = markdown.read(markdown.README)
    told = text.partition("## A 60-second tour\n")[2].partition("\n## ")[0]
    blocks = [block for kind, block in markdown.fences(told) if kind == "console"]
    steps = [step for block in blocks for step in re.split(r"^\$ ", block, flags=re.MULTILINE)]
    return [(command, said) for command, _, said in (s.partition("\n") for s in steps if s)]


def assert_printed(said: str, printed: str) -> None:
    """Whether something is printed as it is said; with an ellipsis for what is left out."""
    printed, place = VARYING.sub("#", printed), 0
    for part in re.split(r"\s*[…\n]\s*", VARYING.sub("#", said)):
        place = printed.find(part, place)
        assert place >= 0, f"{part!r} is not, or not there, in:\n{printed}"


@pytest.mark.long
def test_the_tour_of_the_readme_is_what_happens(place: Place) -> None:
    """The environment that `--serve` prints is all that another terminal needs.

    That holds behind a proxy, too. Ctrl-C ends it with 0, and nothing is left behind.
    """
    process = place.start("--serve", PATH="/usr/bin:/bin", **PROXIES)
    text = served(place, process)
    variables = pasted(text)
    assert variables["PATH"] == f"{Path(OZH).parent}:/usr/local/bin:/usr/bin:/bin"
    elsewhere = Ozh({**PROXIES, "OZH_TIMEZONE": "UTC", **variables}, place.folder)
    (_, said), *steps = tour()
    assert_printed(said, text)
    assert [command.split()[1] for command, _ in steps] == ["discount"] * 3 + ["explain"]
    for command, said in steps:
        done = elsewhere(*command.split()[1:])
        assert done.code == 0, done.err
        assert_printed(said, done.out)
    for sent in (8, 0):
        bonus = elsewhere("daily-bonus", "--any-time", "--json")
        assert (bonus.code, bonus.json()["sent"]) == (0, sent), bonus.err
    [control] = re.findall(r"http://127\.0\.0\.1:(\d+)/control/messages", text)
    os.killpg(process.pid, signal.SIGINT)
    done = ended(process, 20)
    assert (done.code, done.err) == (0, "")
    assert place.left_behind() == []
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(control)), 1)


@pytest.mark.long
def test_the_picture_of_the_readme_is_drawn_from_a_demo(place: Place, tmp_path: Path) -> None:
    """`make tour` draws it again, from a demo on what seems a terminal; and no other files."""
    target = tmp_path / "tour.svg"
    script = str(markdown.ROOT / "scripts/tour.py")
    done = subprocess.run(
        [sys.executable, script, str(target)],
        env={**place.environment, **PROXIES},
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    drawn, kept = (path.read_text("utf-8") for path in (target, markdown.ROOT / "docs/tour.svg"))
    assert words(drawn) == words(kept), "make tour draws it anew"
    assert place.left_behind() == []


def words(svg: str) -> str:
    """The text of a picture without the parts that differ each time."""
    text = "".join(ElementTree.fromstring(svg).itertext())  # noqa: S314 - our own
    return " ".join(VARYING.sub("#", text).partition("ozh-notify\xa0demo")[2].split())


def test_a_closed_terminal_ends_the_served_demo(place: Place) -> None:
    """Its servers are no children of that terminal, so nobody else would end them.

    However many signals follow, they do not interrupt the cleaning up.
    """
    process = place.start("--serve", "--users", "16")
    served(place, process)
    process.send_signal(signal.SIGHUP)
    for _ in range(20):
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    assert (ended(process, 20).code, place.left_behind()) == (0, [])


def test_a_killed_demo_takes_its_servers_along(place: Place) -> None:
    """Nobody is left to end them, so each of them looks whether it is still needed."""
    process = place.start("--serve", "--users", "16")
    served(place, process)
    process.kill()
    process.communicate()
    wait_until(lambda: not place.processes(), f"no process, but {place.processes()}", 10)


def test_a_seed_makes_the_users_repeatable() -> None:
    """The same seed makes the same users, another one makes others."""
    moment = now()
    assert demo_users(64, 1, moment) == demo_users(64, 1, moment)
    assert demo_users(64, 1, moment) != demo_users(64, 2, moment)


@pytest.mark.parametrize("number", [16, 64, 5000])
def test_every_case_is_there(number: int) -> None:
    """However few users there are, each reason to be messaged or left alone is among them."""
    people = demo_users(number, 3, now())
    assert len(people) == number
    chats = Counter(person.document["telegram_id"] for person in people)
    assert {chat for chat, times in chats.items() if times > 1} <= {"@nobody"}
    told = Counter(person.case for person in people)
    assert set(told) == {person.case for person in demo_users(len(CASES), 1, now())}


def test_made_up_runs_have_ids_like_real_ones() -> None:
    """`status --run` and `reconcile --run` can be tried with them."""
    deliveries = [user.document.get("ozh_notify", {}).get("discount") for user in
                  demo_users(64, 1, now())]  # fmt: skip
    runs = {(one["run"], one["at"]) for one in deliveries if one}
    assert len(runs) > 5
    for run, at in runs:
        assert re.fullmatch(rf"{at:%Y%m%dT%H%M%S}-[0-9a-f]{{8}}", run)


def test_wrong_numbers_of_users_are_refused(place: Place) -> None:
    """Fewer would leave a case out."""
    done = ended(place.start("--users", "15"))
    assert done.code == 2
    assert "16" in done.err
