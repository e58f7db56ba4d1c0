"""Counts what a run holds, from rows that are written or read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from neptune_exporter import compute as pc
from neptune_exporter.contract import StepStatistics, TypeCount
from neptune_exporter.dataset.format.paths import added_names, sum_of_names
from neptune_exporter.dataset.format.times import extent, is_python, moment, python_times
from neptune_exporter.model import SERIES_TYPES, AttributeType
from neptune_exporter.schema import STEP_TYPE, step_as_float, step_millionths

_Number: TypeAlias = "float | Decimal"
_COUNTS = ("odd_times", "nulls", "null_nans", "files", "file_bytes", "file_names", "without_checksum")
FILE_COLUMNS = ("file_size", "file_value", "file_sha256")
"""What is counted of files."""
_SERIES = frozenset(kind.value for kind in SERIES_TYPES)
_KINDS = {kind.value: kind for kind in AttributeType}


class Tally:
    """The attributes, rows, steps, times and files of one run."""

    def __init__(self) -> None:
        self._attributes: dict[str, dict[str, int]] = {}
        """The number of steps, by type and path."""
        self._rows: dict[str, int] = {}
        self._steps = StepStatistics()
        """Of all rows together."""
        self.first_time: datetime | None = None
        self.last_time: datetime | None = None
        self.odd_times = 0
        """Times of rows, and values that are times, outside of the years 1 to 9999."""
        self.nulls = 0
        """Rows of series that have a step or time but no value; they are counted only here."""
        self.null_nans = 0
        """Points whose value is NaN and stored as null."""
        self.files = 0
        self.file_bytes = 0
        self.file_names = 0
        """`sum_of_names` of the paths that were given to `add_files`."""
        self.without_checksum = 0
        """Of the files: those whose row has no SHA-256, as in all rows of other tools."""

    def add_rows(self, path: str, attribute_type: str, rows: int, steps: int | None = None) -> None:
        """Add rows of one attribute, and how many steps they have (as many as rows if not given)."""
        of_type = self._attributes.setdefault(attribute_type, {})
        of_type[path] = of_type.get(path, 0) + (rows if steps is None else steps)
        self._rows[attribute_type] = self._rows.get(attribute_type, 0) + rows

    def add_attributes(self, attribute_type: str, rows: Mapping[str, int]) -> None:
        """Rows of several attributes of a type, by path; each has a step if its attribute is a series."""
        of_type = self._attributes.get(attribute_type)
        if of_type is None:
            self._attributes[attribute_type] = dict(rows)
        else:
            for path, count in rows.items():
                of_type[path] = of_type.get(path, 0) + count
        self._rows[attribute_type] = self._rows.get(attribute_type, 0) + sum(rows.values())

    def add_steps(self, columns: Mapping[str, pa.Array]) -> None:
        """Add `step` and `step_float64`, if they are there."""
        given = {name: columns[name] for name in ("step", "step_float64") if name in columns}
        if not given:
            return
        doubles = given.get("step_float64")
        if doubles is not None and doubles.null_count < len(doubles):
            length = len(given["step_float64"])
            given.setdefault("step", pa.nulls(length, STEP_TYPE))
            steps = step_as_float(pa.RecordBatch.from_arrays(list(given.values()), names=list(given)))
            count = len(steps) - steps.null_count
            steps = steps.filter(pc.is_finite(steps))
            whole = False
        elif "step" in given:
            steps = given["step"]
            count = len(steps) - steps.null_count
            whole = _are_whole(steps)
        else:
            return
        found = pc.min_max(steps)
        self.add_step_range(found["min"].as_py(), found["max"].as_py(), count, whole)

    def add_step_range(
        self, minimum: _Number | None, maximum: _Number | None, count: int, whole: bool = False
    ) -> None:
        """Add steps by their range; `whole` as in `StepStatistics`."""
        if not count:
            return
        old = self._steps
        self._steps = StepStatistics(
            _extreme(min, old.minimum, minimum),
            _extreme(max, old.maximum, maximum),
            old.count + count,
            whole and (old.whole or not old.count),
        )

    def add_times(self, times: pa.Array) -> None:
        """Add `timestamp`. Times that Python does not support are only counted as odd."""
        limits = extent(times)
        if not is_python(limits):
            self.check_times(times)
            limits = extent(python_times(times))
        if limits is not None:
            self.add_time_range(*map(moment, limits))

    def check_times(self, times: pa.Array) -> None:
        """Count the times in `timestamp` or `datetime_value` that Python does not support."""
        self.odd_times += python_times(times).null_count - times.null_count

    def add_time_range(self, first: datetime | None, last: datetime | None) -> None:
        self.first_time = min((t for t in (self.first_time, first) if t is not None), default=None)
        self.last_time = max((t for t in (self.last_time, last) if t is not None), default=None)

    def add_files(self, count: int, columns: Mapping[str, pa.Array]) -> None:
        """Add rows that name a file, with those of their columns that are known."""
        sizes, named, digests = (columns.get(name) for name in FILE_COLUMNS)
        self.files += count
        self.without_checksum += count - (len(digests) - digests.null_count if digests is not None else 0)
        if named is not None:
            paths = pc.struct_field(named, "path").drop_null().to_pylist()
            self.file_names = added_names(self.file_names, sum_of_names(paths))
        if sizes is not None:
            self.file_bytes += pc.sum(sizes, min_count=0).as_py()

    def to_json(self) -> dict[str, Any]:
        """The counts in types of Python's JSON (with NaN and infinity). Shares its lists with this object."""
        times = (self.first_time, self.last_time)
        return {
            "attributes": {kind: _packed(steps) for kind, steps in self._attributes.items()},
            "rows": self._rows,
            "steps": _plain(self._steps),
            "times": [None if time is None else time.isoformat() for time in times],
            "counts": {name: count for name in _COUNTS if (count := getattr(self, name))},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Tally:
        """Read the result of `to_json`."""
        tally = cls()
        tally._attributes = {kind: _unpacked(steps) for kind, steps in value["attributes"].items()}
        tally._rows = dict(value["rows"])
        tally._steps = StepStatistics(*value["steps"])
        tally.first_time, tally.last_time = (
            None if time is None else datetime.fromisoformat(time) for time in value["times"]
        )
        for name in _COUNTS:
            setattr(tally, name, value["counts"].get(name, 0))
        return tally

    @classmethod
    def of(cls, several: Sequence[Tally]) -> Tally:
        """The counts of several parts together. Those of a single part are not copied: do not change them."""
        if len(several) == 1:
            return several[0]
        whole = cls()
        for each in several:
            whole.merge(each)
        return whole

    def merge(self, other: Tally) -> None:
        """Add the counts of another tally."""
        for kind, paths in other._attributes.items():
            of_type = self._attributes.setdefault(kind, {})
            for path, steps in paths.items():
                of_type[path] = of_type.get(path, 0) + steps
            self._rows[kind] = self._rows.get(kind, 0) + other._rows[kind]
        self.add_step_range(*_plain(other._steps))
        self.add_time_range(other.first_time, other.last_time)
        self.odd_times += other.odd_times
        self.nulls += other.nulls
        self.null_nans += other.null_nans
        self.files += other.files
        self.file_bytes += other.file_bytes
        self.file_names = added_names(self.file_names, other.file_names)
        self.without_checksum += other.without_checksum

    @property
    def attributes(self) -> Mapping[str, Collection[str]]:
        """The paths of the attributes by type."""
        return self._attributes

    def unknown(self) -> dict[str, int]:
        """Rows by the types that this version does not know."""
        return {kind: rows for kind, rows in sorted(self._rows.items()) if kind not in _KINDS}

    @property
    def rows(self) -> int:
        return sum(self._rows.values())

    @property
    def steps(self) -> StepStatistics:
        """The range of all steps, and how many the longest series has."""
        if not self._steps.count:
            return self._steps
        of_series = (paths for kind, paths in self._attributes.items() if kind in _SERIES)
        longest = max((max(paths.values()) for paths in of_series if paths), default=0)
        return StepStatistics(self._steps.minimum, self._steps.maximum, longest, self._steps.whole)

    def types(self) -> dict[AttributeType, TypeCount]:
        """Counts by type, in the order of `AttributeType`, without types that this version does not know."""
        return {
            kind: TypeCount(len(self._attributes[name]), self._rows[name])
            for name, kind in _KINDS.items()
            if self._rows.get(name)
        }


def _extreme(choose: Callable[..., _Number], one: float | None, other: _Number | None) -> float | None:
    if other is None:
        return one
    return float(other if one is None else choose(one, other))


def _packed(steps: dict[str, int]) -> dict[str, int] | list[int | str]:
    """Where all paths have as many steps, as all parameters do: that number, and the paths. Of thousands of
    runs this is a tenth of what a summary takes."""
    same = set(steps.values())
    return [*same, *steps] if len(same) == 1 else steps


def _unpacked(steps: Any) -> Any:
    return dict.fromkeys(steps[1:], steps[0]) if isinstance(steps, list) else steps


def _plain(steps: StepStatistics) -> tuple[float | None, float | None, int, bool]:
    """Its fields. Not by `astuple`, which copies each of them deeply: this is done for every part."""
    return steps.minimum, steps.maximum, steps.count, steps.whole


def _are_whole(steps: pa.Array) -> bool:
    """Whether no step of a decimal(18,6) column has a fraction."""
    if steps.type != STEP_TYPE:
        return False
    given = steps.drop_null() if steps.null_count else steps
    return not np.any(step_millionths(given) % 10**6)
