"""Runs as plain Python data: what a test says a source holds, or a sink is given.

    SampleRun(
        RunKey("acme/vision", "RUN-1"),
        (
            parameter("lr", 0.1),
            float_series("loss", [(0, 0.5), (0.1, float("nan"))]),
            file("model", b"...", name="model.pt"),
        ),
    )

Everything is immutable; `dataclasses.replace` and `SampleRun.adapted` make variants.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TypeAlias

from neptune_exporter.contract.rows import ParameterValue, Step
from neptune_exporter.contract.selection import AttributeRequest
from neptune_exporter.model import (
    PARAMETER_TYPES,
    SERIES_TYPES,
    AttributeType,
    RunKey,
    SysAttribute,
)

FIRST_TIME = datetime(2024, 1, 1, tzinfo=timezone.utc)
"""When the first entry of a series was logged where a builder gives no times; then one a second."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_MILLIONTH = Decimal("0.000001")
_STEP_LIMIT = Decimal(10**12)


@dataclass(frozen=True)
class SampleHistogram:
    """`len(edges) == len(values) + 1`."""

    edges: tuple[float, ...]
    values: tuple[float, ...]
    kind: str = "COUNTING"


@dataclass(frozen=True)
class SampleFile:
    """The bytes of a file, and what it was called where it was logged (or just `.png`)."""

    content: bytes
    name: str = ""


Value: TypeAlias = "float | int | str | bool | datetime | tuple[str, ...] | SampleHistogram | SampleFile"


@dataclass(frozen=True)
class Entry:
    """One row of an attribute. Steps are kept in their canonical form, see `canonical_step`."""

    value: Value
    step: Step | None = None
    timestamp: datetime | None = None
    """Aware, whole milliseconds: the dataset holds no finer ones."""
    preview: bool = False
    """A metric preview of Neptune 3.x: delivered only when previews are asked for."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", canonical_step(self.step))
        for time in (self.timestamp, self.value):
            if isinstance(time, datetime) and (time.tzinfo is None or time.microsecond % 1000):
                raise ValueError(f"{time} must be aware and a whole number of milliseconds")


_PYTHON_TYPES: Mapping[AttributeType, type] = {
    AttributeType.FLOAT: float,
    AttributeType.INT: int,
    AttributeType.STRING: str,
    AttributeType.BOOL: bool,
    AttributeType.DATETIME: datetime,
    AttributeType.STRING_SET: tuple,
    AttributeType.FLOAT_SERIES: float,
    AttributeType.STRING_SERIES: str,
    AttributeType.HISTOGRAM_SERIES: SampleHistogram,
    AttributeType.FILE: SampleFile,
    AttributeType.FILE_SERIES: SampleFile,
    AttributeType.FILE_SET: SampleFile,
    AttributeType.ARTIFACT: SampleFile,
}


@dataclass(frozen=True)
class SampleAttribute:
    """An attribute with all its rows, in the order in which they were logged."""

    path: str
    type: AttributeType
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        if not self.type.is_series and len(self.entries) != 1:
            raise ValueError(f"{self.path!r}: a {self.type} has one value, not {len(self.entries)}")
        for entry in self.entries:
            if type(entry.value) is not _PYTHON_TYPES[self.type]:
                raise TypeError(f"{self.path!r}: {entry.value!r} is not a value of a {self.type}")
            if self.type is AttributeType.INT and not INT64_MIN <= int(str(entry.value)) <= INT64_MAX:
                raise ValueError(f"{self.path!r}: {entry.value} is beyond int64")

    @property
    def value(self) -> Value:
        """The value of an attribute that is no series."""
        return self.entries[0].value


@dataclass(frozen=True)
class SampleRun:
    """A run, model or model version. Its name, tags, parent and times are those of its `sys/` attributes."""

    key: RunKey
    attributes: tuple[SampleAttribute, ...] = ()
    modified_at: datetime | None = None
    archived: bool = False

    def __post_init__(self) -> None:
        paths = [a.path for a in self.attributes]
        if len(set(paths)) != len(paths):
            raise ValueError(f"{self.key}: two attributes of one path")

    def attribute(self, path: str) -> SampleAttribute | None:
        return next((a for a in self.attributes if a.path == path), None)

    def parameter(self, path: str) -> Value | None:
        """The value of a single-valued attribute, None if the run lacks it."""
        attribute = self.attribute(path)
        return attribute.value if attribute is not None and attribute.type in PARAMETER_TYPES else None

    @property
    def name(self) -> str | None:
        name = self.parameter(SysAttribute.NAME)
        return name if isinstance(name, str) else None

    @property
    def tags(self) -> frozenset[str]:
        tags = self.parameter(SysAttribute.TAGS)
        return frozenset(tags) if isinstance(tags, tuple) else frozenset()

    @property
    def created_at(self) -> datetime | None:
        created = self.parameter(SysAttribute.CREATION_TIME)
        return created if isinstance(created, datetime) else None

    @property
    def parent(self) -> RunKey | None:
        parent = self.parameter(SysAttribute.FORK_PARENT)
        return replace(self.key, run_id=parent) if isinstance(parent, str) else None

    @property
    def fork_step(self) -> Step | None:
        step = self.parameter(SysAttribute.FORK_STEP)
        return canonical_step(step) if isinstance(step, (int, float)) else None

    @property
    def rows(self) -> int:
        return sum(len(a.entries) for a in self.attributes)

    def asked_for(self, request: AttributeRequest) -> SampleRun:
        """What of this run a source must deliver for a request."""

        def wanted(attribute: SampleAttribute) -> SampleAttribute | None:
            if not request.includes(attribute.path, attribute.type):
                return None
            if request.wanted.metric_previews or not attribute.type.is_series:
                return attribute
            return replace(attribute, entries=tuple(e for e in attribute.entries if not e.preview))

        return self.adapted(wanted)

    def adapted(self, change: Callable[[SampleAttribute], SampleAttribute | None]) -> SampleRun:
        """This run with every attribute changed, or left out where `change` gives None.

        Made for sources whose protocol cannot hold all of the corpus.
        """
        changed = (change(a) for a in self.attributes)
        return replace(self, attributes=tuple(a for a in changed if a is not None))

    def plus(self, *attributes: SampleAttribute) -> SampleRun:
        """This run with more attributes; those of a path that it has replace the old ones."""
        new = {a.path for a in attributes}
        kept = tuple(a for a in self.attributes if a.path not in new)
        return replace(self, attributes=kept + attributes)


def canonical_step(step: Step | int | None) -> Step | None:
    """The one form of a step by which steps are compared.

    A Decimal of six places if the dataset's decimal(18,6) holds the step (for a
    double: if it is the nearest double to such a decimal), else a float.
    """
    if step is None:
        return None
    number = Decimal(step)
    if not number.is_finite() or abs(number) >= _STEP_LIMIT:
        return float(step)
    rounded = number.quantize(_MILLIONTH) + 0  # + 0: no negative zero
    same = rounded == number if isinstance(step, Decimal) else float(rounded) == step
    return rounded if same else float(step)


def parameter(path: str, value: ParameterValue | Iterable[str]) -> SampleAttribute:
    """A single value; its attribute type follows from the Python type (an iterable is a string set)."""
    types: tuple[tuple[type, AttributeType], ...] = (
        (bool, AttributeType.BOOL),
        (int, AttributeType.INT),
        (float, AttributeType.FLOAT),
        (str, AttributeType.STRING),
        (datetime, AttributeType.DATETIME),
    )
    for python_type, attribute_type in types:
        if isinstance(value, python_type):
            return SampleAttribute(path, attribute_type, (Entry(value),))  # type: ignore[arg-type]
    return SampleAttribute(path, AttributeType.STRING_SET, (Entry(tuple(sorted(set(value)))),))  # type: ignore[arg-type]


def float_series(path: str, points: Iterable[tuple[Step | int, float]]) -> SampleAttribute:
    """Points `(step, value)`, one a second from `FIRST_TIME` on."""
    return _series(path, AttributeType.FLOAT_SERIES, ((s, float(v)) for s, v in points))


def string_series(path: str, lines: Iterable[tuple[Step | int, str]]) -> SampleAttribute:
    """Lines `(step, text)`, one a second from `FIRST_TIME` on."""
    return _series(path, AttributeType.STRING_SERIES, lines)


def histogram_series(path: str, entries: Iterable[tuple[Step | int, SampleHistogram]]) -> SampleAttribute:
    """Histograms `(step, histogram)`, one a second from `FIRST_TIME` on."""
    return _series(path, AttributeType.HISTOGRAM_SERIES, entries)


def file_series(path: str, entries: Iterable[tuple[Step | int, SampleFile]]) -> SampleAttribute:
    """Files `(step, file)`, one a second from `FIRST_TIME` on."""
    return _series(path, AttributeType.FILE_SERIES, entries)


def file(path: str, content: bytes, name: str = "") -> SampleAttribute:
    return SampleAttribute(path, AttributeType.FILE, (Entry(SampleFile(content, name)),))


def file_set(path: str, members: Mapping[str, bytes]) -> SampleAttribute:
    """A set of files as Neptune 2.x hands it out: one zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in sorted(members.items()):
            archive.writestr(zipfile.ZipInfo(name), content)
    return SampleAttribute(path, AttributeType.FILE_SET, (Entry(SampleFile(buffer.getvalue(), "files.zip")),))


def artifact(path: str, content: bytes) -> SampleAttribute:
    """An artifact of Neptune 2.x: `content` is the JSON list of its files."""
    return SampleAttribute(path, AttributeType.ARTIFACT, (Entry(SampleFile(content, "files_list.json")),))


def without_times(attribute: SampleAttribute) -> SampleAttribute:
    return replace(attribute, entries=tuple(replace(e, timestamp=None) for e in attribute.entries))


def _series(
    path: str, attribute_type: AttributeType, entries: Iterable[tuple[Step | int, Value]]
) -> SampleAttribute:
    assert attribute_type in SERIES_TYPES
    logged = tuple(
        Entry(value, step, FIRST_TIME + timedelta(seconds=n)) for n, (step, value) in enumerate(entries)
    )
    return SampleAttribute(path, attribute_type, logged)
