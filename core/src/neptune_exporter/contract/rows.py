"""Rows of a run as typed Python objects, for sinks that need no speed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from neptune_exporter.model import AttributeType

Step: TypeAlias = "Decimal | float"
"""A step: exact where the dataset has decimals, a float where decimals cannot hold it."""

ParameterValue: TypeAlias = "float | int | str | bool | datetime | list[str]"


@dataclass(frozen=True)
class Parameter:
    """A single value. Datetimes are aware (UTC); string sets are sorted lists."""

    path: str
    type: AttributeType
    value: ParameterValue


@dataclass(frozen=True)
class Point:
    """A point of a float series. The value may be NaN or infinite."""

    path: str
    step: Step | None
    timestamp: datetime | None
    value: float


@dataclass(frozen=True)
class TextLine:
    """An entry of a string series."""

    path: str
    step: Step | None
    timestamp: datetime | None
    value: str


@dataclass(frozen=True)
class Histogram:
    """An entry of a histogram series; `len(edges) == len(values) + 1` in what Neptune writes."""

    path: str
    step: Step | None
    timestamp: datetime | None
    kind: str
    """Neptune's `type`: COUNTING or DENSITY …"""
    edges: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class FileEntry:
    """A row that names a file: of type file, file_series, file_set or artifact."""

    path: str
    """The attribute path."""
    type: AttributeType
    step: Step | None
    timestamp: datetime | None
    file: str
    """Relative path for `ExportedRun.open_file`."""
    size: int | None
    """Bytes as recorded at export; None in exports of other tools."""
    sha256: str | None


Row: TypeAlias = "Parameter | Point | TextLine | Histogram | FileEntry"


def parameters_by_path(rows: Iterable[Row]) -> dict[str, Parameter]:
    """The parameters among some rows, by attribute path, sorted.

    In exports of other tools a path may have several values, of one type or of several. The first one
    has the path, each other one is called `path (type)`, or `path (type 2)` and so on where that is
    taken, so that none replaces another. The same value again is nothing new.
    """
    result: dict[str, Parameter] = {}
    further: dict[tuple[str, AttributeType, str], Parameter] = {}
    for row in rows:
        if isinstance(row, Parameter) and result.setdefault(row.path, row) is not row:
            further.setdefault(_identity(row), row)
    numbers: dict[str, Iterator[int]] = {}
    for identity, row in further.items():
        if identity == _identity(result[row.path]):
            continue
        name = f"{row.path} ({row.type.value})"
        count = numbers.setdefault(name, itertools.count(2))
        key = name
        while key in result:
            key = f"{row.path} ({row.type.value} {next(count)})"
        result[key] = replace(row, path=key)
    return dict(sorted(result.items()))


def _identity(parameter: Parameter) -> tuple[str, AttributeType, str]:
    return parameter.path, parameter.type, repr(parameter.value)  # NaN is no other value than NaN
