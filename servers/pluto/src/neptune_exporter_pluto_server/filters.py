"""The `filter` and `fieldFilters` parameters of `/api/runs/list`.

Grammar read in pluto-server 3e89082, `web/server/lib/queries/run-filter.ts`. Recorded are equality, `$in`,
`$gt`, `$lt`, `$ne`, `$and`, `$or`, a name's `$regex` and the refusals. `heartbeat_at`, `summaryMetrics` and
times are not here: such a filter is refused as an unknown field.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from neptune_exporter_pluto_server.columns import FieldValue, js_number_of, js_text
from neptune_exporter_pluto_server.runs import STATUSES, Run
from neptune_exporter_pluto_server.shapes import refused

_STATES = {
    "running": "RUNNING",
    "finished": "COMPLETED",
    "completed": "COMPLETED",
    "failed": "FAILED",
    "crashed": "FAILED",
    "killed": "TERMINATED",
    "terminated": "TERMINATED",
    "preempted": "CANCELLED",
    "cancelled": "CANCELLED",
    "canceled": "CANCELLED",
}
_OPERATORS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$regex")
_BOUNDS: dict[str, Callable[[float, float], bool]] = {
    "$gt": lambda a, b: a > b,
    "$gte": lambda a, b: a >= b,
    "$lt": lambda a, b: a < b,
    "$lte": lambda a, b: a <= b,
}
_NAMES = ("name", "displayName", "display_name")

Matches = Callable[[Run], bool]


def parse_filter(text: str) -> Matches:
    """What runs a filter takes.

    Raises:
        ApiError: 400.
    """
    try:
        return _node(json.loads(text))
    except ValueError:
        raise refused("filter must be valid JSON", 400) from None


def parse_field_filters(text: str) -> Matches:
    """A list of terms, all of which must hold. Only texts that `is` another one are here.

    Raises:
        ApiError: 400.
    """
    try:
        terms = [
            (term["source"], term["key"], term["dataType"], term["operator"]) for term in json.loads(text)
        ]
        values = [term["values"][0] for term in json.loads(text)]
    except (ValueError, TypeError, KeyError, IndexError):
        raise refused("fieldFilters has invalid shape", 400) from None
    if any((source, kind, operator) != ("config", "text", "is") for source, _, kind, operator in terms):
        raise refused("The local Pluto knows only texts of the config that are another", 400)
    wanted = [(key, js_text(value)) for (_, key, _, _), value in zip(terms, values, strict=True)]
    return lambda run: all(_value(run, key).text == text for key, text in wanted)


def _node(node: Any) -> Matches:
    if not isinstance(node, dict):
        raise refused("filter must be an object", 400)
    parts = [_entry(key, value) for key, value in node.items()]
    return lambda run: all(part(run) for part in parts)


def _entry(key: str, value: Any) -> Matches:
    if key in ("$and", "$or"):
        if not isinstance(value, list):
            raise refused(f"{key} expects an array", 400)
        parts = [_node(child) for child in value]
        combined = all if key == "$and" else any
        return lambda run: combined(part(run) for part in parts)
    if key == "$not":
        inner = _node(value)
        return lambda run: not inner(run)
    if key.startswith("$"):
        raise refused(f"unknown boolean operator: {key}", 400)
    return _leaf(key, _operators(value))


def _operators(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not any(name.startswith("$") for name in value):
        return {"$eq": value}
    for name in value:
        if name not in _OPERATORS:
            raise refused(f"unknown leaf operator: {name}", 400)
    return value


def _leaf(field: str, operators: dict[str, Any]) -> Matches:
    if field in ("state", "status"):
        return _texts(lambda run: [run.status], operators, _status)
    if field in _NAMES:
        if "$regex" in operators:  # it is no pattern: a part of the name, in any case
            part = str(operators["$regex"]).lower()
            return lambda run: part in run.name.lower()
        return _texts(lambda run: [run.name], operators, js_text)
    if field == "tags":
        return _texts(lambda run: run.tags, operators, js_text)
    prefix, _, key = field.partition(".")
    if prefix != "config" or not key:
        raise refused(f"unknown filter field: {field}", 400)
    tests = [_config_test(name, value) for name, value in operators.items()]
    return lambda run: all(test(_value(run, key)) for test in tests)


def _status(value: Any) -> str:
    found = _STATES.get(str(value).lower(), str(value))
    if found not in STATUSES:
        raise refused(f"unknown run state: {value}", 400)
    return found


def _texts(
    held: Callable[[Run], Iterable[str]], operators: dict[str, Any], read: Callable[[Any], str]
) -> Matches:
    name, value = next(iter(operators.items()))
    if name not in ("$eq", "$ne", "$in", "$nin"):
        raise refused(f"unsupported operator: {name}", 400)
    wanted = set(map(read, value if isinstance(value, list) else [value]))
    negated = name in ("$ne", "$nin")
    return lambda run: wanted.isdisjoint(held(run)) == negated


def _config_test(name: str, value: Any) -> Callable[[FieldValue], bool]:
    if name in _BOUNDS:
        bound, compare = js_number_of(js_text(value)), _BOUNDS[name]
        return lambda held: held.number is not None and compare(held.number, bound)
    if name == "$regex":
        pattern = re.compile(str(value))
        return lambda held: held.text is not None and pattern.search(held.text) is not None
    if name in ("$in", "$nin"):
        texts = set(map(js_text, value if isinstance(value, list) else [value]))
        return lambda held: (held.text in texts) == (name == "$in")
    equal = _equal(value)
    return lambda held: equal(held) == (name == "$eq")


def _equal(value: Any) -> Callable[[FieldValue], bool]:
    """What looks like a number is compared as one, also where it is a text."""
    text = js_text(value)
    number = (
        math.nan
        if isinstance(value, bool) or (isinstance(value, str) and not text.strip())
        else (js_number_of(text))
    )
    if math.isnan(number):
        return lambda held: held.text == text
    return lambda held: held.number == number


def _value(run: Run, key: str) -> FieldValue:
    return run.fields.get(key, FieldValue(None, None))
