"""Rows of a run as typed Python objects, for sinks that need no speed."""

from __future__ import annotations

from dataclasses import dataclass
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
