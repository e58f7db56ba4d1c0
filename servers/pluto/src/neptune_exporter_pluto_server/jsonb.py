"""What a JSON document is after JavaScript and a JSONB column have had it.

The real API parses with `JSON.parse` and stores JSONB: numbers are doubles, of which it keeps 16 significant
digits, 1.0 is 1, the order of keys is lost, and some texts cannot be stored at all. All as recorded from it.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

_PRINTED_AS_INTEGER = 1e21  # from here on JavaScript prints an exponent


class UnstorableError(Exception):
    """PostgreSQL refuses the text: U+0000 or half a surrogate pair. The real API answers 500."""


def js_number(value: float) -> Any:
    """A double as JavaScript prints it: an int where there is no fraction, None if not finite.

    Integers beyond 2^53 get JavaScript's shortest digits, so they differ from the
    exact value of the double.
    """
    try:
        value = float(value)
    except OverflowError:
        return None
    if value != value or value in (float("inf"), float("-inf")):
        return None
    if value.is_integer() and abs(value) < _PRINTED_AS_INTEGER:
        return int(Decimal(repr(value)))
    return value


def js_integer(value: int) -> int:
    """An integer as JavaScript prints it: exact up to 2**53."""
    return int(Decimal(repr(float(value)))) if value > 2**53 else value


def kept_number(value: float) -> Any:
    """A number as a document gives it back: 16 significant digits; None where they name no double."""
    return js_number(float(f"{value:.15e}"))


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _number(digits: str) -> Any:
    return js_number(float(digits))


_PARSER = json.JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=_constant)


def js_parse(text: str) -> Any:
    """JSON.parse.

    Raises:
        ValueError: not JSON; bare NaN and Infinity are not.
    """
    return _PARSER.decode(text)


def stored(value: Any) -> Any:
    """A parsed document as JSONB gives it back: keys by length, then by bytes.

    Raises:
        UnstorableError: a key or a string holds what PostgreSQL refuses.
    """
    if isinstance(value, str):
        check_text(value)
        return value
    if isinstance(value, list):
        return [stored(item) for item in value]
    if isinstance(value, dict):
        for key in value:
            check_text(key)
        return {key: stored(value[key]) for key in sorted(value, key=lambda k: (len(k.encode()), k.encode()))}
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return kept_number(value)
    return value


def check_text(text: str) -> None:
    """Raises UnstorableError if a PostgreSQL text column cannot hold it."""
    if "\0" in text:
        raise UnstorableError("U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnstorableError("a lone surrogate") from None


def deep_merge(target: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    """Objects merge member by member; everything else in `source` replaces. No key is ever removed."""
    merged = dict(target)
    for key, value in source.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = deep_merge(old, value) if both and old is not None else value
    return merged
