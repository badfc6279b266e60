"""Both rates with their intervals, drawn as text for a terminal and as SVG for a report."""

from __future__ import annotations

from html import escape

from ozh_notify.effect.report import ArmCounts, Effect
from ozh_notify.effect.statistics import Interval, wilson

WIDTH = 80
"""Columns of the text picture."""
LABEL = 9
"""Columns of an arm's name and the blank after it."""
SVG_WIDTH, SVG_HEIGHT = 640, 190
SVG_LEFT, SVG_RIGHT = 110, 40
"""Pixels left of the axis, for names, and right of it."""


def draw_text(effect: Effect) -> list[str]:
    """Lines of at most 80 ASCII columns that read without colour; empty before any judgement."""
    rates = _rates(effect)
    if not rates:
        return []
    top = _top(rates)
    columns = WIDTH - LABEL
    lines = [f"{name:<{LABEL}}{_bar(rate, top, columns)}" for name, rate in rates.items()]
    right = f"{top:.3g} %".rjust(columns - 3)
    return [*lines, " " * LABEL + "0 %" + right]


def draw_svg(effect: Effect) -> str:
    """One SVG document: a line for each arm's interval, a dot for its rate."""
    rates = _rates(effect)
    top = _top(rates) if rates else 100.0
    span = SVG_WIDTH - SVG_LEFT - SVG_RIGHT

    def x(percent: float) -> float:
        return round(SVG_LEFT + span * percent / top, 1)

    one = effect.experiment
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SVG_WIDTH}" height="{SVG_HEIGHT}" '
        f'viewBox="0 0 {SVG_WIDTH} {SVG_HEIGHT}" font-family="sans-serif" font-size="14">',
        f'<rect width="{SVG_WIDTH}" height="{SVG_HEIGHT}" fill="white"/>',
        f'<text x="20" y="28" font-weight="bold">{escape(one.campaign)}, {escape(one.name)}: '
        f"{escape(effect.verdict.value)}</text>",
    ]
    for number, (name, rate) in enumerate(rates.items()):
        y = 70 + 40 * number
        parts += [
            f'<text x="20" y="{y + 5}">{name}</text>',
            f'<line x1="{x(rate.low * 100)}" x2="{x(rate.high * 100)}" y1="{y}" y2="{y}" '
            'stroke="#345" stroke-width="3"/>',
            f'<circle cx="{x(rate.value * 100)}" cy="{y}" r="6" fill="#345"/>',
            f'<text x="{x(rate.value * 100)}" y="{y - 10}" text-anchor="middle">'
            f"{rate.value * 100:.2f} %</text>",
        ]
    parts += [
        f'<line x1="{SVG_LEFT}" x2="{SVG_WIDTH - SVG_RIGHT}" y1="145" y2="145" stroke="#999"/>',
        f'<text x="{SVG_LEFT}" y="165">0 %</text>',
        f'<text x="{SVG_WIDTH - SVG_RIGHT}" y="165" text-anchor="end">{top:.3g} %</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _rates(effect: Effect) -> dict[str, Interval]:
    arms: dict[str, ArmCounts] = {"treated": effect.treated, "control": effect.control}
    return {name: wilson(arm.reached, arm.judged) for name, arm in arms.items() if arm.judged}


def _top(rates: dict[str, Interval]) -> float:
    """The right end of the axis in percent: the highest end of an interval, and some room."""
    return max(0.1, min(100.0, 105 * max(rate.high for rate in rates.values())))


def _bar(rate: Interval, top: float, columns: int) -> str:
    """``   |----o------|   5.00 %`` on an axis from 0 to ``top`` percent."""
    text = f" {rate.value * 100:.2f} %"
    axis = columns - len("100.00 %") - 1

    def at(value: float) -> int:
        return min(axis - 1, round(value * 100 / top * (axis - 1)))

    cells = [" "] * axis
    low, middle, high = at(rate.low), at(rate.value), at(rate.high)
    cells[low : high + 1] = "-" * (high - low + 1)
    cells[low] = cells[high] = "|"
    cells[middle] = "o"
    return "".join(cells) + text
