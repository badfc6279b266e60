"""P1, P2, P3, P8, P9: sending, beside what others do against the same Bot API."""

from __future__ import annotations

import sys
from bisect import bisect_left
from typing import Any

from benchmarks import messages, users
from benchmarks.environment import LATENCY_MS, Environment, Ran
from benchmarks.figure import Amounts, Figure, median, ratio

AIOGRAM, AIOGRAM_FAST = "aiogram", "aiogram, uvloop and orjson"
AIOGRAM_WIDE = "aiogram, 256 connections"
OURS = "ozh-notify"
WIDE = ("--connections", "256", "--in-flight", "256")
BASELINES: dict[str, tuple[str, ...]] = {
    AIOGRAM: ("aiogram_loop",),
    AIOGRAM_FAST: ("aiogram_loop", "--fast"),
    AIOGRAM_WIDE: ("aiogram_loop", *WIDE),
    "bare aiohttp": ("aiohttp_loop", *WIDE),
    "the Bot API's own ceiling (raw sockets)": ("raw_loop", *WIDE),
}
"""Bare send loops of as many messages as a pass sends."""
PTB, NAIVE = "python-telegram-bot's defaults", "the naive worker"


def paced(environment: Environment, amounts: Amounts) -> list[Figure]:
    """P1: Telegram's paid ceiling."""
    count, rounds = amounts.of(20_000, 3_000), amounts.of(3, 1)
    rates, whole = [], []
    for _ in range(rounds):
        ran = _pass(environment, count, "1000")
        came = environment.arrivals()
        rates.append((len(came) - 1) / (came[-1] - came[0]))
        whole.append(count / ran.json()["duration_seconds"])
    rate = median(rates)
    return [
        Figure(
            "P1",
            f"delivered a second at `--rate 1000`, {count:,} users, claims and records included",
            "≥ 980",
            f"{rate:.0f}",
            rate >= 980,
            f"{median(whole):.0f} with scan, sign-on and last record counted too",
            {"rates": rates, "whole": whole},
        )
    ]


def unpaced(environment: Environment, amounts: Amounts) -> list[Figure]:
    """P2, P3, P9: everybody in turn, several times over."""
    count, rounds = amounts.of(20_000, 2_000), amounts.of(5, 2)
    rate: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    whole: dict[str, list[float]] = {}
    servers: dict[str, list[float]] = {}
    ours: dict[str, tuple[list[float], list[float]]] = {}
    for n in range(rounds):
        ran = _pass(environment, count, "100000")
        _keep(rate, cpu, OURS, count, ran.json()["duration_seconds"], ran.cpu)
        for server, used in ran.servers.items():
            servers.setdefault(server, []).append(1000 * used / count)
        _other_messages(environment, count, ran, ours)
        for who, (script, *options) in BASELINES.items():
            ran = environment.baseline(script, count, *options)
            _sent(rate, cpu, who, ran)
            whole.setdefault(who, []).append(1000 * ran.cpu / count)
        _slow(environment, amounts, rate, cpu)
        print(f"  round {n + 1} of {rounds}: " + _line(rate, cpu), file=sys.stderr, flush=True)
    data = {
        "rate": rate,
        "cpu_ms": cpu,
        "whole_cpu_ms": whole,
        "servers_cpu_ms": servers,
        "messages": ours,
        "count": count,
    }
    return [
        *_against_aiogram(rate, cpu, data),
        *_cost_of_messages(ours),
        *_comparison(rate, cpu, servers),
    ]


def _other_messages(
    environment: Environment,
    count: int,
    plain: Ran,
    ours: dict[str, tuple[list[float], list[float]]],
) -> None:
    """The other passes, beside the plain one of the same round."""
    with messages.variants() as variants:
        for what, variables in variants.items():
            ran = _pass(environment, count, "100000", **variables) if variables else plain
            rates, cpu = ours.setdefault(what, ([], []))
            rates.append(count / ran.json()["duration_seconds"])
            cpu.append(1000 * ran.cpu / count)


def _cost_of_messages(ours: dict[str, tuple[list[float], list[float]]]) -> list[Figure]:
    """What fields, a photo and the journal cost, against the plain pass of the same rounds."""
    plain_rates, plain_cpu = ours[messages.PLAIN]
    figures = []
    for what in (messages.FIELDS, messages.PHOTO, messages.NO_JOURNAL):
        rates, cpu = ours[what]
        figures += [
            Figure(
                "P2",
                f"unpaced, with {what}, against our plain pass",
                "shown",
                f"{ratio(rates, plain_rates):.2f}×",
                note=f"{median(rates):.0f}/s against {median(plain_rates):.0f}/s",
            ),
            Figure(
                "P3",
                f"CPU a delivered message with {what}, against our plain pass",
                "shown",
                f"{ratio(cpu, plain_cpu):.2f}×",
                note=f"{median(cpu):.2f} ms against {median(plain_cpu):.2f} ms",
            ),
        ]
    return figures


def steady(environment: Environment, amounts: Amounts) -> list[Figure]:
    """P8: the pace of a minute, by when the messages came in."""
    count = amounts.of(1_500, 250)
    _pass(environment, count, "25")
    came = environment.arrivals()
    worst = max(n + 1 - bisect_left(came, at - 1) for n, at in enumerate(came))
    share = (len(came) - 1) / (came[-1] - came[0]) / 25
    return [
        Figure(
            "P8",
            f"pacing at 25/s, {count:,} messages: the worst 1-second window; share of the rate",
            "≤ 27; ≥ 98 %",
            f"{worst}; {share:.1%}",
            worst <= 27 and share >= 0.98,
            data={"worst": worst, "share": share},
        )
    ]


def _pass(environment: Environment, count: int, rate: str, **variables: str) -> Ran:
    """One pass over that many users who are all due; each must get their message."""
    due = users.due(count)
    users.fill(
        environment.users("speed"),
        users.with_fields(due) if "OZH_TEMPLATES_DIR" in variables else due,
    )
    environment.arrivals()
    ran = environment.ozh("speed", "discount", "--json", "--rate", rate, **variables)
    assert ran.json()["sent"] == count, ran.out  # noqa: S101
    return ran


def _slow(
    environment: Environment,
    amounts: Amounts,
    rate: dict[str, list[float]],
    cpu: dict[str, list[float]],
) -> None:
    """The slow clients, for which few messages tell enough."""
    few, fewer = amounts.of(1_000, 200), amounts.of(100, 20)
    ran = environment.baseline("ptb_loop", few)
    _sent(rate, cpu, PTB, ran)
    users.fill(environment.users("naive"), users.due(fewer))
    ran = environment.baseline("naive", fewer, name="naive")
    _sent(rate, cpu, NAIVE, ran)


def _sent(rate: Any, cpu: Any, who: str, ran: Ran) -> None:
    """Of a baseline only the loop counts, not the start: importing aiogram takes seconds."""
    told = ran.json()
    _keep(rate, cpu, who, told["count"], told["seconds"], told["loop_cpu"])


def _keep(rate: Any, cpu: Any, who: str, count: int, seconds: float, used: float) -> None:
    rate.setdefault(who, []).append(count / seconds)
    cpu.setdefault(who, []).append(1000 * used / count)


def _line(rate: dict[str, list[float]], cpu: dict[str, list[float]]) -> str:
    return ", ".join(f"{who} {rate[who][-1]:.0f}/s {cpu[who][-1]:.2f} ms" for who in rate)


def _against_aiogram(
    rate: dict[str, list[float]], cpu: dict[str, list[float]], data: dict[str, Any]
) -> list[Figure]:
    faster = ratio(rate[OURS], rate[AIOGRAM])
    fast = ratio(rate[OURS], rate[AIOGRAM_FAST])
    wide = ratio(rate[OURS], rate[AIOGRAM_WIDE])
    spent, fast_spent = ratio(cpu[OURS], cpu[AIOGRAM]), ratio(cpu[OURS], cpu[AIOGRAM_FAST])
    count, whole = data["count"], ratio(cpu[OURS], data["whole_cpu_ms"][AIOGRAM])
    return [
        Figure(
            "P2",
            f"unpaced, {count:,} users end to end, against aiogram's bare send loop",
            "≥ 1.0×",
            f"{faster:.2f}×",
            faster >= 1.0,
            f"{median(rate[OURS]):.0f}/s against {median(rate[AIOGRAM]):.0f}/s; "
            f"aiogram with uvloop and orjson {fast:.2f}×. It opens 100 connections unless told "
            f"otherwise, which at {LATENCY_MS} ms is 2000/s at most; against its loop with 256 "
            f"{wide:.2f}×",
            data,
        ),
        Figure(
            "P3",
            "CPU a delivered message, our whole process, against aiogram's bare send loop alone",
            "≤ 1.1×",
            f"{spent:.2f}×",
            spent <= 1.1,
            f"{median(cpu[OURS]):.2f} ms against {median(cpu[AIOGRAM]):.2f} ms; "
            f"against {median(cpu[AIOGRAM_FAST]):.2f} ms with uvloop and orjson "
            f"{fast_spent:.2f}×. Against all of aiogram's process, its imports "
            f"too: {whole:.2f}×",
        ),
    ]


def _comparison(
    rate: dict[str, list[float]], cpu: dict[str, list[float]], servers: dict[str, list[float]]
) -> list[Figure]:
    lines = [
        Figure("P9", who, "shown", f"{median(rate[who]):,.0f}/s; {median(cpu[who]):.2f} ms")
        for who in rate
    ]
    lines += [
        Figure("", f"the {who}'s share of our pass", "shown", f"{median(used):.2f} ms")
        for who, used in servers.items()
    ]
    return lines
