"""The verdict, its words, and the picture of both rates."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timezone
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from ozh_notify.effect.experiment import Experiment
from ozh_notify.effect.picture import draw_svg, draw_text
from ozh_notify.effect.report import ArmCounts, Effect, EffectVerdict
from ozh_notify.effect.statistics import Sums
from ozh_notify.effect.wording import next_step, verdict_sentence

START = datetime(2026, 11, 1, tzinfo=timezone.utc)
DUE = datetime(2026, 12, 8, tzinfo=timezone.utc)
MARCH = Experiment("discount", "march", 10, 7, date(2026, 11, 30), START)


def effect(treated: tuple[int, int], control: tuple[int, int], ended: bool = True) -> Effect:
    """Reached and judged of both arms; everybody assigned is judged."""
    one, two = (ArmCounts(judged, judged, reached) for reached, judged in (treated, control))
    return Effect(MARCH, one, two, DUE, ended)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (effect((20, 900), (0, 100)), EffectVerdict.TOO_EARLY),
        (effect((540, 2700), (30, 300)), EffectVerdict.MORE),
        (effect((270, 2700), (60, 300)), EffectVerdict.FEWER),
        (effect((270, 2700), (30, 300)), EffectVerdict.NO_DIFFERENCE),
        (effect((540, 2700), (30, 300), ended=False), EffectVerdict.TOO_EARLY),
        (effect((100, 700), (10, 99)), EffectVerdict.TOO_EARLY),
        (effect((540, 2700), (60, 600)), EffectVerdict.SPLIT_BROKEN),
        (effect((0, 0), (0, 0)), EffectVerdict.TOO_EARLY),
    ],
)
def test_the_verdict_is_the_one_the_figures_allow(found: Effect, verdict: EffectVerdict) -> None:
    """Never before its time, and never with a broken split."""
    assert found.verdict is verdict
    assert verdict_sentence(found).startswith(verdict.value)
    assert next_step(found)


def test_nobody_unjudged_may_be_left_out_of_a_verdict() -> None:
    """A read-only account cannot judge; then the figures are not complete."""
    found = effect((540, 2700), (30, 300))
    assert replace(found, unjudged=3).verdict is EffectVerdict.TOO_EARLY
    assert "3 users are not judged" in verdict_sentence(replace(found, unjudged=3))


def test_without_a_verdict_the_next_step_is_one_that_can_be_taken() -> None:
    """Nobody is told to look again after a day that is over."""
    running = effect((540, 2700), (30, 300), ended=False)
    assert "Look again after 2026-12-08" in next_step(running)
    small = effect((100, 700), (10, 77))
    assert "77 controls are judged, and a verdict needs 100" in verdict_sentence(small)
    assert "Look again" not in next_step(small)
    assert "longer experiment with a new name" in next_step(small)
    waiting = replace(effect((540, 2700), (30, 300)), unjudged=3)
    assert "The next passes judge them" in next_step(waiting)


def test_an_experiment_without_an_end_has_a_last_judgement() -> None:
    """The calendar ends in 9999; the report does not fail over it."""
    berlin = ZoneInfo("Europe/Berlin")
    assert MARCH.last_judgement(berlin).isoformat() == "2026-12-07T23:59:00+01:00"
    endless = replace(MARCH, until=date(9999, 12, 31))
    assert endless.last_judgement(berlin).year == 9999


def test_the_extra_users_are_the_difference_times_the_treated() -> None:
    """With the same interval."""
    found = effect((540, 2700), (30, 300))
    assert found.extra is not None
    assert found.difference is not None
    assert found.extra.value == pytest.approx(270)
    assert found.extra.low == pytest.approx(found.difference.low * 2700)


def test_money_is_compared_from_thirty_buyers_an_arm_on() -> None:
    """Fewer say nothing about an average."""
    found = effect((540, 2700), (60, 300))
    rich = Sums(300, 600, 5000)
    treated = replace(found.treated, buyers=30, revenue=rich)
    assert replace(found, treated=treated).revenue is None
    control = replace(found.control, buyers=30, revenue=Sums(300, 300, 4000))
    money = replace(found, treated=treated, control=control).revenue
    assert money is not None
    assert money.value == 1


def test_the_json_has_the_names_of_the_contract() -> None:
    """Machines read these."""
    shown = effect((540, 2700), (30, 300)).as_json()
    assert set(shown) == {
        "experiment", "campaign", "share", "until", "arms", "difference", "low", "high",
        "extra", "extra_low", "extra_high", "split_p", "smallest_difference", "verdict",
    }  # fmt: skip
    for arm in shown["arms"].values():
        assert {"assigned", "judged", "reached", "rate", "low", "high"} <= set(arm)
        assert "revenue_per_user" in arm
    assert effect((0, 0), (0, 0)).as_json()["difference"] is None


def test_the_picture_reads_at_80_columns_without_colour() -> None:
    """Plain ASCII, the rate inside its interval, both arms on one axis."""
    lines = draw_text(effect((540, 2700), (30, 300)))
    assert all(len(line) <= 80 and line.isascii() for line in lines)
    assert lines[0].startswith("treated")
    assert lines[1].startswith("control")
    assert lines[0].index("o") > lines[1].index("o", len("control"))
    assert "20.00 %" in lines[0]
    assert draw_text(effect((0, 0), (0, 0))) == []


def test_the_svg_is_one_document_with_both_rates() -> None:
    """A name from the settings cannot break it."""
    root = ElementTree.fromstring(draw_svg(effect((540, 2700), (30, 300))))  # noqa: S314 - our own text
    text = " ".join(root.itertext())
    assert "20.00 %" in text
    assert "10.00 %" in text
    assert ElementTree.fromstring(draw_svg(effect((0, 0), (0, 0)))) is not None  # noqa: S314 - our own text
