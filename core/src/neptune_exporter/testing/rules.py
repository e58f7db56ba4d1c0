"""By what a sink is judged, and when a value in the target is that of the run."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from neptune_exporter.contract.specs import SinkCapabilities
from neptune_exporter.testing.facts import render
from neptune_exporter.testing.runs import SampleHistogram


@dataclass(frozen=True)
class Rules:
    """By what a sink is judged.

    capabilities: As its spec declares. Only what is False there may be lost.
    allowed_losses: Reasons of losses that no capability covers, that the author stands by.
    name_prefix: Of the load options.
    """

    capabilities: SinkCapabilities
    allowed_losses: Collection[str] = ()
    name_prefix: str = ""

    @property
    def signed_zeros(self) -> bool:
        return self.capabilities.signed_zeros


def same_parameter(expected: Any, found: Any, rules: Rules) -> bool:
    """Whether a target's parameter is the run's: equal and of the same kind.

    Targets without such types may hold as text: a datetime (ISO 8601), NaN and
    infinities, an integer beyond 2**53. 3 and 3.0 are one number, True is not a number.
    """
    if isinstance(expected, datetime):
        return _instant(found) == expected
    if isinstance(expected, tuple):
        return _is_collection(found) and sorted(found) == list(expected)
    if isinstance(expected, (bool, str)):
        return type(found) is type(expected) and bool(found == expected)
    if isinstance(found, str):
        return _is_number_as_text(expected, found, rules)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return False
    return _same_number(expected, found, rules)


def _is_collection(found: object) -> bool:
    return isinstance(found, Collection) and not isinstance(found, str)


def _is_number_as_text(expected: int | float, found: str, rules: Rules) -> bool:
    if isinstance(expected, int):
        largest = min(2**53, rules.capabilities.largest_integer)
        return abs(expected) > largest and found == str(expected)
    return not math.isfinite(expected) and comparable(_float(found), rules) == comparable(expected, rules)


def _same_number(expected: int | float, found: int | float, rules: Rules) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return comparable(found, rules) == comparable(expected, rules)
    signed = isinstance(expected, float) and rules.signed_zeros and math.copysign(1, expected) < 0
    return found == expected and not (found == 0 and signed)


def comparable(value: Any, rules: Rules) -> str:
    """A text that is the same for values that are the same."""
    if isinstance(value, float) and value == 0 and not rules.signed_zeros:
        return "0.0"
    if isinstance(value, SampleHistogram):
        value = SampleHistogram(tuple(map(float, value.edges)), tuple(map(float, value.values)), value.kind)
    return render(float(value) if type(value) is int else value)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _instant(found: Any) -> datetime | None:
    if isinstance(found, str):
        try:
            found = datetime.fromisoformat(found.replace("Z", "+00:00"))
        except ValueError:
            return None
    if not isinstance(found, datetime):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)
