"""What Pluto makes of configs for its run table: a column of each key, a value of each run.

Read in pluto-server 3e89082, `web/server/lib/extract-column-keys.ts` and `flatten-object.ts`; the values that
`list` shows and finds are as recorded from the real API.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from neptune_exporter_pluto_server.jsonb import kept_number

HIDDEN_PREFIXES = ("sys/", "source_code/")
"""Config keys that get a value, and can be filtered by, but no column."""
PICKER_COLUMNS = 100
"""So many columns, the newest, the picker of the run table offers before somebody searches."""
MAX_KEY = 500
"""Characters. With one longer key a run gets no columns and values at all (read: `VARCHAR(500)`)."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}")
_LEADING_ZERO = re.compile(r"0\d+")


@dataclass(frozen=True)
class FieldValue:
    """A value in the table `run_field_values`."""

    text: str | None
    number: float | None

    @property
    def shown(self) -> Any:
        return self.text if self.number is None else kept_number(self.number)


def flattened(document: Any, prefix: str = "") -> dict[str, Any]:
    """Nested objects as keys joined by dots; arrays stay values, empty objects vanish."""
    if not isinstance(document, dict):
        return {prefix: document} if prefix and document is not None else {}
    flat: dict[str, Any] = {}
    for key, value in document.items():
        path = f"{prefix}.{key}" if prefix else key
        flat |= flattened(value, path) if isinstance(value, dict) else {path: value}
    return flat


def field_values(document: Any) -> dict[str, FieldValue] | None:
    """The values of a run by key; None where a key is too long for any of them to be stored."""
    flat = flattened(document)
    if any(len(key) > MAX_KEY for key in flat):
        return None
    return {key: _field_value(value) for key, value in flat.items()}


def column_types(values: dict[str, FieldValue]) -> dict[str, str]:
    """The columns that such values bring, and their types."""
    return {key: _type(value) for key, value in values.items() if not key.startswith(HIDDEN_PREFIXES)}


def js_text(value: Any) -> str:
    """What JavaScript's `String` makes of a value of JSON."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list):
        return ",".join("" if item is None else js_text(item) for item in value)
    if isinstance(value, dict):
        return "[object Object]"
    if isinstance(value, float):
        return _exponent(repr(value))
    return str(value)


def js_number_of(text: str) -> float:
    """What JavaScript's `Number` makes of a text; NaN where it is not a number."""
    try:
        return math.nan if "_" in text else float(text.strip() or "0")
    except ValueError:
        return math.nan


def _exponent(digits: str) -> str:
    """JavaScript writes exponents without leading zeros."""
    return re.sub(r"e([+-])0+", r"e\1", digits)


def _field_value(value: Any) -> FieldValue:
    if value is None:
        return FieldValue(None, None)
    text = js_text(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return FieldValue(text, float(value))
    return FieldValue(text, js_number_of(text) if isinstance(value, str) and _is_number(text) else None)


def _is_number(text: str) -> bool:
    clean = text.strip()
    if not clean or clean[:2].lower() == "0x" or _LEADING_ZERO.fullmatch(clean) or _DATE.match(text):
        return False
    return math.isfinite(js_number_of(clean))


def _type(value: FieldValue) -> str:
    if value.number is not None:
        return "number"
    return "date" if value.text is not None and _DATE.match(value.text) else "text"
