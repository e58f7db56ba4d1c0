"""Attributes as the server lists them: their types, and the values of those with a single value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from neptune_exporter.model import AttributeType
from neptune_exporter.toolkit import clean

_TYPES: Mapping[str, AttributeType] = {
    "float": AttributeType.FLOAT,
    "int": AttributeType.INT,
    "bool": AttributeType.BOOL,
    "string": AttributeType.STRING,
    "datetime": AttributeType.DATETIME,
    "stringSet": AttributeType.STRING_SET,
    "floatSeries": AttributeType.FLOAT_SERIES,
    "stringSeries": AttributeType.STRING_SERIES,
    "imageSeries": AttributeType.FILE_SERIES,
    "file": AttributeType.FILE,
    "fileSet": AttributeType.FILE_SET,
    "artifact": AttributeType.ARTIFACT,
}
"""Types by their name on the wire. Others (experimentState, gitRef, notebookRef) become strings in the
dataset."""

_RUN_STATES = {"running": "Active", "idle": "Inactive"}
"""As the client's runs table calls them (neptune.internal.utils.run_state)."""

_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d+))?\s*(Z|[+-]\d\d:?(?:\d\d)?)?", re.IGNORECASE
)


@dataclass(frozen=True)
class Attribute:
    """One attribute of a run."""

    path: str
    type: AttributeType
    wire_type: str
    properties: Mapping[str, Any]
    """What the server says of it, with its value if it is a single one."""

    @classmethod
    def of_json(cls, listed: Mapping[str, Any]) -> Attribute:
        wire_type = str(listed["type"])
        properties = listed.get(f"{wire_type}Properties")
        kind = _TYPES.get(wire_type, AttributeType.STRING)
        return cls(
            clean(str(listed["name"])), kind, wire_type, properties if isinstance(properties, Mapping) else {}
        )

    @property
    def has_value(self) -> bool:
        """False if the server lists the attribute without a value, like `sys/group_tags` of runs without
        group tags. A number that is null counts as a value, because JSON has no NaN. A series without
        properties may have points."""
        if self.wire_type in _DECODERS:
            field, _ = _DECODERS[self.wire_type]
            return field in self.properties and (
                self.wire_type == "float" or self.properties[field] is not None
            )
        return any(cell is not None for cell in self._own.values())

    @property
    def _own(self) -> dict[str, Any]:
        return {k: v for k, v in self.properties.items() if k not in ("attributeName", "attributeType")}

    @property
    def value(self) -> object:
        """The value of an attribute with a single value, in the Python type of its attribute type.

        Git information, notebook references and types that this version does not know are the server's own
        JSON. Raises ValueError if the server gave no value, or one of another type; the message shows it.
        """
        if self.wire_type not in _DECODERS:
            if self.wire_type == "experimentState" and isinstance(self.properties.get("value"), str):
                return _RUN_STATES.get(self.properties["value"], self.properties["value"])
            return clean(json.dumps(self._own, ensure_ascii=False, sort_keys=True))
        field, decode = _DECODERS[self.wire_type]
        found = self.properties.get(field)
        try:
            return decode(found)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"its value is no {self.wire_type}: {str(found)[:100]!r}") from None


def attributes_of(answer: Any) -> list[Attribute]:
    """The attributes of a run, sorted by path, from the JSON that lists them."""
    return sorted((Attribute.of_json(listed) for listed in answer["attributes"]), key=lambda a: a.path)


def number(value: object) -> float:
    """A double as the server writes it: a number, "NaN", "Infinity", or null for what JSON cannot hold."""
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def time_of(text: object) -> datetime:
    """An ISO 8601 time in UTC, also if it names no zone; digits finer than milliseconds are cut. Raises
    ValueError or TypeError if it is no such text, OverflowError beyond the years 1 to 9999."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is no time")
    match = _ISO.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no ISO 8601 time")
    day, clock, fraction, zone = match.groups()
    # Python 3.10 takes fractions of a second and zones in this form only.
    zone = "+00:00" if zone is None or zone in "zZ" else f"{zone[:3]}:{zone[3:].lstrip(':') or '00'}"
    fraction = f"{fraction or ''}000"[:3]
    return datetime.fromisoformat(f"{day}T{clock}.{fraction}{zone}").astimezone(timezone.utc)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(f"{value!r} is no number")
    number = int(value)
    if number != value and not isinstance(value, str):
        raise ValueError(f"{value!r} is no whole number")
    if not -(2**63) <= number < 2**63:
        raise OverflowError
    return number


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return clean(value)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return tuple(sorted({_text(item) for item in value}))


_DECODERS: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "float": ("value", number),
    "int": ("value", _whole),
    "bool": ("value", _truth),
    "string": ("value", _text),
    "datetime": ("value", time_of),
    "stringSet": ("values", _texts),
}
