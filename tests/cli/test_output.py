"""The one printer: tables that fit, JSON that stays JSON, numbers with their nouns."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from ozh_notify.cli.deliveries import print_deliveries
from ozh_notify.cli.output import print_json, print_table
from ozh_notify.config.load import load
from ozh_notify.users.settlement import StoredDelivery
from ozh_notify.wording import counted

LONG = "scan of the discount: skips those offered, blocked or held inside the index; " * 4
RUN = "20261124T080509-1234abcd"


def widest(text: str) -> int:
    """Columns of the widest line."""
    return max(map(len, text.splitlines()))


def test_a_piped_table_is_at_most_100_columns_wide_and_loses_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long cells wrap, whatever COLUMNS says."""
    monkeypatch.setenv("COLUMNS", "300")
    rows = [("ozh_discount", "missing", 5, LONG), ("#" * 150, "ok", 12, "")]
    print_table("indexes of bot.users", ("index", "", "size", "what for"), rows, str)
    out = capsys.readouterr().out
    assert widest(out) <= 100
    assert out.count("#") == 150
    assert out.count("scan of the discount") + out.count("scan of the\n") >= 1
    assert sum(out.count(word) for word in ("skips", "offered,")) == 8


def test_a_list_of_deliveries_fits_and_keeps_chats_and_runs_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are there to be copied; each run has a table of its own."""
    monkeypatch.setenv("MONGO_URI", "mongodb://127.0.0.1/bot")
    settings, _ = load(None, {"MONGO_URI": "mongodb://127.0.0.1/bot", "OZH_TIMEZONE": "UTC"})
    at = datetime(2026, 11, 24, 8, 5, 9, tzinfo=timezone.utc)
    entries = [
        StoredDelivery(
            f"5f0000000000000000000{chat % 1000}",
            chat,
            {"state": "unreachable", "run": run, "at": at, "error": "Forbidden: blocked " * 5},
        )
        for chat, run in ((4_503_599_627_370_001, RUN), (100_002, RUN), (100_003, "run-2"))
    ]
    print_deliveries("discount: 3 deliveries in unknown", entries, settings, str)
    out = capsys.readouterr().out
    assert widest(out) <= 100
    assert out.count(f"run {RUN}") == out.count("run run-2") == 1
    for chat in ("4503599627370001", "100002", "100003"):
        assert f"│ {chat} " in out
    assert out.count("unreachable") == 3


def test_numbers_agree_with_their_nouns() -> None:
    """One delivery, two deliveries, no deliveries."""
    assert [counted(n, "delivery", "deliveries") for n in (0, 1, 2)] == [
        *("0 deliveries", "1 delivery", "2 deliveries")
    ]
    assert counted(2, "user") == "2 users"


def test_json_holds_moments_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """Moments are ISO 8601."""
    at = datetime(2026, 11, 24, 8, 5, tzinfo=timezone.utc)
    print_json({"at": at, "text": "a secret 🎁"}, lambda text: text.replace("secret", "***"))
    shown = json.loads(capsys.readouterr().out)
    assert shown == {"at": "2026-11-24T08:05:00+00:00", "text": "a *** 🎁"}
