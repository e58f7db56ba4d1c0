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
    """A single value. Datetimes are aware (UTC); string sets are sorted lists.

    Examples:
        >>> for row in run.rows([AttributeType.FLOAT, AttributeType.STRING]):
        ...     print(row.path, row.value)
        config/lr 0.1
        config/optimizer Adam
        sys/name baseline
    """

    path: str
    type: AttributeType
    value: ParameterValue


@dataclass(frozen=True)
class Point:
    """A point of a float series. The value may be NaN or infinite.

    Examples:
        >>> for point in run.rows([AttributeType.FLOAT_SERIES]):
        ...     print(point.path, float(point.step), point.value)
        train/loss 0.0 0.9
        train/loss 1.0 0.5
        train/loss 2.0 0.4
    """

    path: str
    step: Step | None
    timestamp: datetime | None
    value: float


@dataclass(frozen=True)
class TextLine:
    """An entry of a string series.

    Examples:
        >>> [line.value for line in run.rows([AttributeType.STRING_SERIES])]
        ['epoch 0', 'epoch 1']
    """

    path: str
    step: Step | None
    timestamp: datetime | None
    value: str


@dataclass(frozen=True)
class Histogram:
    """An entry of a histogram series; `len(edges) == len(values) + 1` in what Neptune writes.

    Examples:
        >>> histogram = next(run.rows([AttributeType.HISTOGRAM_SERIES]))
        >>> list(zip(histogram.edges, histogram.edges[1:], histogram.values))  # from, to, how many
        [(0.0, 1.0, 3.0), (1.0, 2.0, 4.0)]
    """

    path: str
    step: Step | None
    timestamp: datetime | None
    kind: str
    """Neptune's `type`: COUNTING or DENSITY …"""
    edges: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class FileEntry:
    """A row that names a file: of type file, file_series, file_set or artifact.

    Examples:
        >>> for entry in run.rows([AttributeType.FILE]):
        ...     with run.open_file(entry.file) as file:
        ...         print(entry.path, entry.size, file.read())
        model/weights 4 b'0123'
    """

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

    In exports of other tools a path may have several values, of one type or of several. The first value
    keeps the path. Each further value is called `path (type)`, or `path (type 2)` and so on if that name
    exists. A value that is repeated counts once.

    Examples:
        >>> rows = [Parameter("lr", AttributeType.FLOAT, 0.1), Parameter("lr", AttributeType.STRING, "auto")]
        >>> {path: parameter.value for path, parameter in parameters_by_path(rows).items()}
        {'lr': 0.1, 'lr (string)': 'auto'}
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
    return parameter.path, parameter.type, repr(parameter.value)  # by repr, NaN equals NaN
