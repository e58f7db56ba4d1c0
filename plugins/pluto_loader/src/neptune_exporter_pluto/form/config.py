"""A run's parameters as Pluto's config: JSONB behind a JavaScript server.

What JSON, JavaScript or PostgreSQL cannot hold is written so that a person and a
program can read it, and is named under `converted` in the loader's own section.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from neptune_exporter.contract import Parameter
from neptune_exporter.model import AttributeType
from neptune_exporter.sinks.names import digest
from neptune_exporter.sinks.values import as_json

SECTION = "sys/neptune_exporter"
"""The key of the loader's own section in a run's config.

Pluto makes a column of the run table of every nested key, permanently, except keys that begin with `sys/`.
Runs can still be found by those (read in pluto-server 3e89082, `extract-column-keys.ts`).
"""

_SAFE_INTEGER = 2**53
_PIECE_BYTES = 1 << 20
_MAX_KEY = 500
"""Characters. With one longer key, Pluto makes no columns for the run at all, and does not find it by them
(read)."""
Pairs = list[list[Any]]
"""Pairs for maps with an unlimited number of names: Pluto would store each name as a key, but leaves arrays
whole."""
_RESERVED_KEYS = frozenset({SECTION, "__proto__", "constructor", "prototype", ""})


ROUNDED = "rounded to 16 digits"


def section_of(details: Mapping[str, Any]) -> dict[str, Any]:
    """The loader's section of a run's config, from the run's details; empty if it has none."""
    config = details.get("config")
    section = config.get(SECTION) if isinstance(config, dict) else None
    return section if isinstance(section, dict) else {}


def pairs(values: Mapping[str, Any]) -> Pairs:
    return [[key, value] for key, value in values.items()]


def of_pairs(found: Any) -> dict[str, Any]:
    """The inverse of `pairs`; empty for anything else."""
    rows = found if isinstance(found, list) else []
    return {str(row[0]): row[1] for row in rows if isinstance(row, list) and len(row) == 2}


def kept_number(value: float) -> float:
    """A number as Pluto stores it in a config: with 16 significant digits; the largest are lost
    (recorded)."""
    return float(f"{value:.15e}")


def escaped(text: str) -> str:
    """A text as it stands between the quotes of a JSON string: in this form any text can be stored and read
    back."""
    return orjson.dumps(text.encode("utf-8", "replace").decode())[1:-1].decode()


def readable(value: object) -> tuple[Any, str | None]:
    """A value as JSON that Pluto can store, and how it was converted, if it was."""
    if isinstance(value, str):
        return _readable_text(value)
    if isinstance(value, bool):
        return value, None
    if isinstance(value, int):
        return (value, None) if abs(value) <= _SAFE_INTEGER else (str(value), "integer as text")
    if isinstance(value, float):
        return _readable_float(value)
    if isinstance(value, datetime):
        return as_json(value), None
    if isinstance(value, (list, tuple)):
        return _readable_list(value)
    return _readable_text(str(value))


def _readable_float(value: float) -> tuple[Any, str | None]:
    if not math.isfinite(value):
        return as_json(value), "number as text"
    kept = kept_number(value)
    if kept == value:
        return value, None
    return (repr(value), "number as text") if math.isinf(kept) else (kept, ROUNDED)


def _readable_list(values: Sequence[Any]) -> tuple[Any, str | None]:
    if any(isinstance(item, str) and "\0" in item for item in values):  # one way of writing for all
        return [escaped(str(item)) for item in values], "text with JSON escapes"
    items = [readable(item) for item in values]
    return [item for item, _ in items], next((how for _, how in items if how), None)


def _readable_text(text: str) -> tuple[str, str | None]:
    if text.isprintable():  # holds no lone surrogate either
        return text, None
    clean = text.encode("utf-8", "replace").decode()
    if "\0" in clean:
        return escaped(clean), "text with JSON escapes"
    return clean, None if clean == text else "characters that are no text replaced"


def storable(value: Any) -> Any:
    """A JSON document with all its keys and texts `readable`."""
    if isinstance(value, Mapping):
        return {str(readable(key)[0]): storable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(item) for item in value]
    return None if value is None else readable(value)[0]


class ParametersConfig(NamedTuple):
    """The config of a run's parameters."""

    values: dict[str, Any]
    converted: dict[str, str]
    """How a value was converted, by key."""
    renamed: dict[str, str]
    """The original path (with JSON escapes) if the path cannot be a key, by key."""
    exact: dict[str, str]
    """All digits of a number that Pluto rounds, by key. The table sorts by the rounded number."""


def parameters_config(parameters: Mapping[str, Parameter]) -> ParametersConfig:
    """The config of a run's parameters, by attribute path.

    Paths stay flat keys, so that `a` and `a/b` stand beside each other.
    """
    config: dict[str, Any] = {}
    converted: dict[str, str] = {}
    renamed: dict[str, str] = {}
    exact: dict[str, str] = {}
    for path, parameter in parameters.items():
        key = _key(path, parameters)
        value, how = readable(parameter.value)
        if parameter.type is AttributeType.STRING_SET and not isinstance(value, list):
            value = [value]
        config[key] = value
        if key != path:
            renamed[key] = escaped(path)
        if how == ROUNDED:
            exact[key] = repr(parameter.value)
        elif how:
            converted[key] = how
    return ParametersConfig(config, converted, renamed, exact)


def _key(path: str, taken: Mapping[str, object]) -> str:
    clean = str(readable(path)[0])
    if clean == path and path not in _RESERVED_KEYS and len(path) <= _MAX_KEY:
        return path
    clean, mark = clean[: _MAX_KEY - 20], digest(path)
    while (key := f"{clean}~{mark}") in taken:
        mark = digest(mark, path)
    return key


def pieces(config: Mapping[str, Any]) -> Iterator[bytes]:
    """The config as JSON objects of about a megabyte each, to be merged one after another."""
    piece: list[bytes] = []
    size = 0
    for key, value in config.items():
        item = orjson.dumps(key) + b":" + orjson.dumps(value)
        if piece and size + len(item) > _PIECE_BYTES:
            yield b"{" + b",".join(piece) + b"}"
            piece, size = [], 0
        piece.append(item)
        size += len(item) + 1
    yield b"{" + b",".join(piece) + b"}"
