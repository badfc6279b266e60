"""The discount's offer: what its text names and the settings leave out."""

from __future__ import annotations

from ozh_notify.config.settings import Settings
from ozh_notify.operator.check.result import CheckResult, ok, warning

VARIABLES = {
    "pack": "OZH_DISCOUNT_PACK",
    "price": "OZH_DISCOUNT_PRICE",
    "old_price": "OZH_DISCOUNT_OLD_PRICE",
}
"""Variables by the word that a template has for them."""


def offer_result(settings: Settings, words: set[str]) -> CheckResult:
    """``words`` are those that the templates in use name: an unused variable may stay unset."""
    values = {word: getattr(settings, f"discount_{word}") for word in VARIABLES if word in words}
    unset = [VARIABLES[word] for word, value in values.items() if not value]
    if unset:
        remedy = "the offer leaves out what is not set; no price is ever invented"
        return warning("offer", f"{', '.join(unset)}: not set", remedy)
    return ok("offer", ", ".join(values.values()) or "the text in use names no price")
