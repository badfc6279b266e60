"""A campaign from another package: what `docs/campaigns.md` shows is what runs here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ozh_notify.campaigns import Button, registry
from ozh_notify.sandbox.botapi.client import BotApiServer
from tests.conftest import Ozh
from tests.helpers.users import Users, ago, user

DISCOUNT = "from ozh_notify.campaigns.discount import Discount\n"
DOCS = Path(__file__).parents[2] / "docs" / "campaigns.md"


def install(folder: Path, point: str, files: dict[str, str]) -> str:
    """An installed package without pip: its files, and its entry point's metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    name = point.partition(" ")[0]
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[ozh_notify.campaigns]\n{point}\n")
    return str(folder)


def shown() -> dict[str, str]:
    """The files of the page, by name."""
    text = DOCS.read_text(encoding="utf-8")
    return dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))


@pytest.fixture
def third(ozh: Ozh, tmp_path: Path) -> Ozh:
    """The command, with the page's package installed."""
    files = shown()
    [point] = re.findall(r'campaigns"\]\n(.+)\n', files.pop("pyproject.toml"))
    point = str(point).replace('"', "")
    ozh.environment["PYTHONPATH"] = install(tmp_path / "site", point, files)
    return ozh


def absent(days: float, **fields: Any) -> dict[str, Any]:
    """A user last seen so many days ago."""
    return user(last_seen_at=ago(days=days), **fields)


def test_a_third_campaign_is_one_file_and_one_template(
    third: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """It becomes a command of its own, and messages each of its users exactly once."""
    users.insert_many([absent(20), absent(40, first_name="<b>"), absent(3), user()])
    first = third("win-back", "--json")
    assert first.code == 0, first.err
    assert (first.json()["campaign"], first.json()["sent"]) == ("win-back", 2)
    texts = [message.text for message in bot_api.control.messages()]
    rest = "скучаем!\n\nВас не было 14 дней. Оживим что-нибудь?"
    assert texts == [f"👋 Анна, мы {rest}", f"👋 <b>, мы {rest}"]
    reached = users.find({"ozh_notify.win_back.state": "sent", "win_back_sent": True})
    assert {u["last_seen_at"] < ago(days=14) for u in reached} == {True}
    assert third("win-back", "--json").json()["sent"] == 0
    assert len(bot_api.control.messages()) == 2


def test_a_third_campaign_reads_variables_of_its_own(
    third: Ozh, users: Users, bot_api: BotApiServer
) -> None:
    """They come from the same environment and `.env`, and are no unknown variables."""
    users.insert_many([user(visits={"last": ago(days=days)}) for days in (1.5, 3, 20)])
    result = third(
        "win-back",
        "--json",
        OZH_WIN_BACK_DAYS=" '2' ",
        OZH_FIELD_LAST_SEEN_AT="visits.last",
        OZH_WIN_BACK_BUTTON="https://example.org/back",
    )
    assert result.json()["sent"] == 2, result.err
    assert "no variable" not in result.err
    message = bot_api.control.messages()[0]
    assert "Вас не было 2 дня." in message.text
    button = {"text": "Вернуться", "url": "https://example.org/back"}
    assert message.reply_markup == {"inline_keyboard": [[button]]}


def test_a_third_campaigns_dry_run_counts_by_its_own_reasons(third: Ozh, users: Users) -> None:
    """Its population and reasons are shown in its own words."""
    users.insert_many([absent(20), absent(3), absent(2), absent(-9), user()])
    result = third("win-back", "--dry-run", "--json")
    assert result.json()["held"] == {"seen recently": 2}
    assert result.json()["preview"]["population"] == "seen at any time"
    assert "Оживим что-нибудь?" in result.json()["preview"]["text"]


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_wrong_variable_of_a_third_campaign_is_a_configuration_error(
    third: Ozh, users: Users, bot_api: BotApiServer, options: tuple[str, ...]
) -> None:
    """A `ConfigError` it raises is read like one of the settings."""
    users.insert_one(absent(20))
    result = third("win-back", "--json", *options, OZH_WIN_BACK_DAYS="two")
    assert result.code == 78, result.err
    assert result.json()["error"] == "OZH_WIN_BACK_DAYS: expected a whole number of days"
    assert bot_api.control.messages() == []


def test_a_third_campaign_is_in_the_help_and_spoils_no_other(third: Ozh, users: Users) -> None:
    """The built-in campaigns go on as before."""
    users.insert_one(absent(20))
    assert "win-back" in third("--help").out
    assert third("discount", "--json").json()["eligible"] == 0


@pytest.mark.parametrize(
    ("point", "source", "words"),
    [
        ("broken = broken:Broken", "import no_such_module", "ModuleNotFoundError"),
        ("broken = broken:Missing", "", "has no attribute 'Missing'"),
        ("broken = broken:Broken", "Broken = 5", "it is not a subclass of"),
        ("broken = broken:Again", f"{DISCOUNT}class Again(Discount): pass\n", "exists already"),
        (
            "broken = broken:Odd",
            f"{DISCOUNT}class Odd(Discount): name = 'Win back'\n",
            "its name 'Win back' is not spelled like win-back",
        ),
        (
            "broken = broken:Part",
            "from ozh_notify.campaigns import Campaign\n"
            "class Part(Campaign):\n    name = 'broken'\n    once = 'ever'\n",
            "it lacks summary, population, eligibility_criteria(), index(), population_criteria(),",
        ),
    ],
)
def test_a_broken_campaigns_own_command_says_why(
    ozh: Ozh, tmp_path: Path, point: str, source: str, words: str
) -> None:
    """Exit 78 with the package's module and the reason, instead of a traceback."""
    path = install(tmp_path / "site", point, {"broken.py": source})
    broken = ozh("broken", "--limit", "5", "--json", PYTHONPATH=path)
    assert broken.code == 78
    assert words in broken.err
    assert "broken:" in broken.err
    assert "Traceback" not in broken.err


def test_everything_else_runs_beside_a_broken_campaign(
    ozh: Ozh, users: Users, tmp_path: Path
) -> None:
    """Help, the other campaigns and `status`; `check` has a problem for it."""
    point = "broken = broken:Missing"
    ozh.environment["PYTHONPATH"] = install(tmp_path / "site", point, {"broken.py": ""})
    users.insert_one(user())
    assert re.search(r"broken +Cannot be used: broken:Missing", ozh("--help", COLUMNS="200").out)
    assert ozh("discount", "--json").code == 0
    assert ozh("status").code == 0
    checked = ozh("check", "--json")
    assert checked.code == 78
    assert "has no attribute 'Missing'" in checked.out


def test_the_built_in_campaigns_are_the_two_of_the_contract() -> None:
    """Commands by name, files and fields by key."""
    assert {name: kind.once for name, kind in registry().items()} == {
        "discount": "ever",
        "daily-bonus": "day",
    }


@pytest.mark.parametrize(
    "target", ["https://a.example", "http://a.example", "tg://resolve?domain=x"]
)
def test_addresses_make_url_buttons(target: str) -> None:
    """Anything else is callback data."""
    assert Button("x", target).is_url
    assert not Button("x", f"open {target}").is_url
