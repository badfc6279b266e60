"""An effect in plain words: what was seen, and what to do next."""

from __future__ import annotations

from ozh_notify.effect.report import MIN_CONTROLS, Effect, EffectVerdict


def verdict_sentence(effect: Effect) -> str:
    """One sentence that says what was seen."""
    found, extra = effect.difference, effect.extra
    if effect.verdict is EffectVerdict.SPLIT_BROKEN:
        return (
            f"split broken: {effect.control.assigned} of "
            f"{effect.control.assigned + effect.treated.assigned} users were held out where "
            f"{effect.experiment.share:g} percent were planned, which chance does not explain."
        )
    if effect.verdict is EffectVerdict.TOO_EARLY or found is None or extra is None:
        return f"too early: {_why_early(effect)}."
    points = f"{_points(found.value)} points (95 % interval {_points(found.low)} to "
    points += f"{_points(found.high)})"
    if effect.verdict is EffectVerdict.NO_DIFFERENCE:
        return (
            f"no difference seen: {points}; so many users show a difference of "
            f"{effect.smallest_difference * 100:.2f} points or more."
        )
    people = f"{extra.value:+.0f} users ({extra.low:+.0f} to {extra.high:+.0f})"
    return f"{effect.verdict.value}: {points}, that is {people}."


def next_step(effect: Effect) -> str:
    """One sentence that says what to do next."""
    match effect.verdict:
        case EffectVerdict.SPLIT_BROKEN:
            return (
                "Do not use these figures. Look for passes with other settings, or for entries "
                "that somebody deleted; then start an experiment with a new name."
            )
        case EffectVerdict.TOO_EARLY:
            return _until_then(effect)
        case EffectVerdict.MORE:
            return "Send to everybody: remove the holdout from the settings."
        case EffectVerdict.FEWER:
            return "Stop this campaign, or change its message and start another experiment."
        case EffectVerdict.NO_DIFFERENCE:
            return (
                "Keep what is cheaper for you. To see a smaller difference, run a longer "
                "experiment: ozh-notify effect --plan BASE TARGET says how many users it needs."
            )


def _why_early(effect: Effect) -> str:
    if not effect.treated.assigned + effect.control.assigned:
        return "no user is assigned yet"
    if not effect.ended and effect.due:
        return f"the last outcome is judged on {effect.due:%Y-%m-%d}"
    if effect.unjudged:
        return f"{effect.unjudged} users are not judged yet"
    if effect.control.judged < MIN_CONTROLS:
        return f"{effect.control.judged} controls are judged, and a verdict needs {MIN_CONTROLS}"
    return "fewer than 5 users of an arm are expected to come back, or to stay away"


def _until_then(effect: Effect) -> str:
    """What to do about an experiment without a verdict."""
    if not effect.ended:
        when = f" Look again after {effect.due:%Y-%m-%d}." if effect.due else ""
        return (
            "Change nothing until then: an early look that decides makes three false alarms "
            f"in ten.{when}"
        )
    if effect.unjudged:
        return "The next passes judge them, 2,000 a pass; then look again."
    return (
        "No more users will be judged. For a verdict, run a longer experiment with a new name, "
        "or hold out more: ozh-notify effect --plan BASE TARGET says how many users it needs."
    )


def _points(share: float) -> str:
    return f"{share * 100:+.2f}"
