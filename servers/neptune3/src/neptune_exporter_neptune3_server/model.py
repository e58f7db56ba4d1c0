"""What the local server holds, as plain Python data.

    FakeProject("acme/vision", [
        FakeRun("run-1", {"lr": 0.1, "loss": FloatSeries([0, 1], [0.5, float("nan")])}),
        FakeRun("run-2", parent="run-1", fork_step=1),
    ])

An attribute's type is that of its Python value. Series keep the order of their
steps; points of one step keep the order in which they were given.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .points import Points

_FIRST_DAY = datetime(2024, 1, 1, tzinfo=timezone.utc)
FIRST_POINT_MILLIS = 1_704_067_200_000
"""When the first point was logged where a series names no times; then one a second."""


@dataclass(frozen=True)
class Histogram:
    """`edges` has one more entry than `values`; Neptune 3 knows the types COUNTING and DENSITY."""

    edges: Sequence[float]
    values: Sequence[float]
    type: str = "COUNTING"


@dataclass(frozen=True)
class FakeFile:
    """A file in the object store. `missing`: the attribute is there, the blob is not."""

    content: bytes
    mime_type: str = "application/octet-stream"
    missing: bool = False
    size_bytes: int | None = None
    """What the server says; the length of the content unless given."""

    @cached_property
    def digest(self) -> str:
        return hashlib.blake2b(self.content, digest_size=8).hexdigest()

    def size(self) -> int:
        return len(self.content) if self.size_bytes is None else self.size_bytes


@dataclass(frozen=True)
class OtherValue:
    """An attribute of a type that neptune-query does not read (`experimentState`, `gitRef`, `complex`)."""

    type: str = "experimentState"


class FloatSeries:
    """A metric: one-dimensional columns of one length, taken as they are when they are numpy arrays.

    timestamps: milliseconds since the epoch. previews: which points are previews,
    with their completion ratio (0 to 1) in `completion`. Do not change the arrays
    afterwards: put a new series in place of the old one.
    """

    def __init__(
        self,
        steps: npt.ArrayLike,
        values: npt.ArrayLike,
        timestamps: npt.ArrayLike | None = None,
        previews: npt.ArrayLike | None = None,
        completion: npt.ArrayLike | None = None,
    ) -> None:
        step_array = np.asarray(steps, np.float64)
        points = Points(
            _times(len(step_array)) if timestamps is None else np.asarray(timestamps, np.int64),
            step_array,
            np.asarray(values, np.float64),
            None if previews is None else np.asarray(previews, np.bool_),
            None if completion is None else np.asarray(completion, np.float32),
        )
        columns = [points.timestamps, points.values, points.preview, points.completion]
        if any(column is not None and column.shape != step_array.shape for column in columns):
            raise ValueError("the columns of a float series must have one length")
        if len(step_array) > 1 and (np.diff(step_array) < 0).any():
            points = points[np.argsort(step_array, kind="stable").astype(np.int64)]
        self.points = points

    @cached_property
    def committed(self) -> Points:
        """Without the previews."""
        return self.points if self.points.preview is None else self.points[~self.points.preview]

    @cached_property
    def aggregates(self) -> dict[str, float]:
        """Of the committed points; empty without any. NaN and infinities count in `last` only."""
        points = self.committed
        if len(points) == 0:
            return {}
        found = {"last_step": float(points.steps[-1]), "last": float(points.values[-1])}
        finite = points.values[np.isfinite(points.values)]
        if len(finite):
            found["min"], found["max"] = float(finite.min()), float(finite.max())
            with np.errstate(over="ignore"):
                found["average"], found["variance"] = float(finite.mean()), float(finite.var())
        return found

    @cached_property
    def has_previews(self) -> bool:
        return self.points.preview is not None and bool(self.points.preview.any())


class _ValueSeries:
    """Steps, values and times (milliseconds) of a series whose values are objects."""

    values: Sequence[Any]

    def __init__(
        self, steps: Sequence[float], values: Sequence[Any], timestamps: Sequence[int] | None = None
    ) -> None:
        times = list(_times(len(steps)).tolist() if timestamps is None else timestamps)
        if not len(steps) == len(values) == len(times):
            raise ValueError("the columns of a series must have one length")
        order = sorted(range(len(steps)), key=steps.__getitem__)
        self.steps = [float(steps[i]) for i in order]
        self.values = [values[i] for i in order]
        self.timestamps = [int(times[i]) for i in order]


class StringSeries(_ValueSeries):
    values: Sequence[str]


class HistogramSeries(_ValueSeries):
    values: Sequence[Histogram]


class FileSeries(_ValueSeries):
    values: Sequence[FakeFile]


def _times(count: int) -> npt.NDArray[np.int64]:
    return FIRST_POINT_MILLIS + 1000 * np.arange(count, dtype=np.int64)


Value: TypeAlias = (
    "bool | int | float | str | datetime | set[str] | frozenset[str] | FakeFile | OtherValue"
    " | FloatSeries | StringSeries | HistogramSeries | FileSeries"
)

BACKEND_TYPES: Mapping[type, str] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    datetime: "datetime",
    set: "stringSet",
    frozenset: "stringSet",
    FakeFile: "fileRef",
    FloatSeries: "floatSeries",
    StringSeries: "stringSeries",
    HistogramSeries: "histogramSeries",
    FileSeries: "fileRefSeries",
}
"""Attribute types as they are named on the wire (`attribute_type_dto` in neptune-query)."""

SERIES_TYPES = (FloatSeries, StringSeries, HistogramSeries, FileSeries)


OTHER_TYPES = frozenset({"experimentState", "gitRef", "complex"})


def backend_type(value: Value) -> str:
    return value.type if isinstance(value, OtherValue) else BACKEND_TYPES[type(value)]


@dataclass
class FakeRun:
    """A run. The server adds the `sys/` attributes; one given here wins, and None removes it.

    Attributes may be changed between requests; move `modified` as the server would.
    """

    custom_run_id: str | None
    attributes: dict[str, Value | None] = field(default_factory=dict)
    experiment: str | None = None
    parent: str | None = None
    """The custom run id of the run that this one was forked from."""
    fork_step: float | None = None
    archived: bool = False
    created: datetime | None = None
    modified: datetime | None = None
    sys_id: str | None = None
    """Unless given, the project's key and the number of the run."""

    def file_path(self, attribute: str, step: float | None, file: FakeFile) -> str:
        """The path in the object store, which the client hands back to have it signed."""
        where = "".join(c if c.isalnum() or c in "_-" else "_" for c in attribute)
        parts = [self.custom_run_id or self.sys_id or "run", where]
        if step is not None:
            parts.append(f"{step:017.6f}".replace(".", "_"))
        identity = f"{attribute}\0{step!r}\0{file.digest}".encode()
        parts.append(hashlib.blake2b(identity, digest_size=8).hexdigest())
        return "/".join(parts) + (mimetypes.guess_extension(file.mime_type) or "")


@dataclass
class FakeProject:
    """`name` is `workspace/project`. Runs are in the order in which they were created."""

    name: str
    runs: list[FakeRun] = field(default_factory=list)
    key: str = "RUN"
    accessible: bool = True
    """False: the token may not see it, and the server answers as if it were not there."""

    def sys_id(self, index: int) -> str:
        return self.runs[index].sys_id or f"{self.key}-{index + 1}"


def created_at(run: FakeRun, index: int) -> datetime:
    return run.created or _FIRST_DAY + timedelta(minutes=index)


def modified_at(run: FakeRun, index: int) -> datetime:
    return run.modified or created_at(run, index) + timedelta(hours=1)
