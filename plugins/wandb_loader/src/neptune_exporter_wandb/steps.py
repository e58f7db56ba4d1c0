"""Steps and times as the texts of JSON numbers, and back.

The core hands steps over as whole numbers, multiplied. In W&B a step is a metric, which holds any number:
so charts show the steps of Neptune.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from neptune_exporter.sinks.steps import Multiplier

_EXACT_DIGITS = 10**15
"""Every decimal number of 15 digits has its own double, whose shortest text is that number."""
_NUMPY = orjson.OPT_SERIALIZE_NUMPY


def json_texts(numbers: npt.NDArray[Any]) -> list[bytes]:
    """Numbers as JSON has them; NaN and infinities as wandb writes them: `NaN`, `Infinity`, `-Infinity`."""
    if not len(numbers):
        return []
    texts = orjson.dumps(np.ascontiguousarray(numbers), option=_NUMPY)[1:-1].split(b",")
    if numbers.dtype.kind == "f" and not (finite := np.isfinite(numbers)).all():
        for i in np.flatnonzero(~finite).tolist():
            number = numbers[i]
            texts[i] = b"NaN" if np.isnan(number) else b"Infinity" if number > 0 else b"-Infinity"
    return texts


def step_texts(steps: npt.NDArray[Any], multiplier: Multiplier) -> list[bytes]:
    """Neptune's steps as texts, from multiplied ones.

    Example: `step_texts(np.array([29]), Multiplier(100, 1)) == [b"0.29"]`
    """
    if multiplier.numerator == multiplier.denominator:
        return json_texts(steps)
    small = len(steps) and max(abs(int(steps.min())), abs(int(steps.max()))) < _EXACT_DIGITS
    if small and multiplier.denominator == 1 and multiplier.numerator < _EXACT_DIGITS:
        return json_texts(steps / np.float64(multiplier.numerator))
    return [_exact_text(int(step), multiplier) for step in steps.tolist()]


def _exact_text(step: int, multiplier: Multiplier) -> bytes:
    exact = Fraction(step) * multiplier.denominator / multiplier.numerator
    with localcontext() as context:
        context.prec = 60
        decimal = Decimal(exact.numerator) / exact.denominator
    return format(decimal, "f").encode()


def whole_step(text: str, multiplier: Multiplier) -> int:
    """The multiplied step of a text that `step_texts` made."""
    return round(Fraction(text) * multiplier.numerator / multiplier.denominator)
