"""Parameter values for targets that hold JSON or text."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any

from neptune_exporter.contract import ParameterValue

_SHOWN = 80
"""Characters of a value that a line of a comparison shows."""


def as_json(value: ParameterValue) -> Any:
    """A value that any JSON reader takes: times as ISO 8601 in UTC, NaN and infinities as text.

    Examples:
        >>> as_json(float("nan")), as_json(["a", "b"])
        ('NaN', ['a', 'b'])
    """
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return list(value) if isinstance(value, (list, tuple)) else value


def as_text(value: ParameterValue) -> str:
    """A value for targets that hold only text: a text as it is, anything else as JSON.

    Examples:
        >>> as_text(True), as_text(3.0), as_text("3.0")
        ('true', '3.0', '3.0')
    """
    plain = as_json(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def short(value: object) -> str:
    """A value for a line of a comparison.

    Examples:
        >>> short("epoch 1"), len(short("x" * 500))
        ("'epoch 1'", 78)
    """
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "…"
