"""Counts what parts hold, and reads as little as their statistics allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import pyarrow as pa

from neptune_exporter import compute as pc
from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format.columns import has_value
from neptune_exporter.dataset.format.times import is_python, moment
from neptune_exporter.dataset.read import counting
from neptune_exporter.dataset.read.counting import KEYS, Counting
from neptune_exporter.dataset.read.leaves import columns_to_decide
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.tally import FILE_COLUMNS, Tally
from neptune_exporter.dataset.read.wanted import VALUE_COLUMNS
from neptune_exporter.model import FILE_TYPE_NAMES, TYPE_NAMES
from neptune_exporter.toolkit import first_line

_ROWS = 1 << 18
NULL_ROWS = "rows with a step or time and no value that are left out"


def tally(parts: Iterable[Part]) -> Tally:
    """Count the rows of the parts of one run. Raises DatasetError if a part is missing or damaged."""
    result = Tally()
    _count((part, result) for part in parts)
    return result


def tallies(parts: Sequence[Part]) -> list[Tally]:
    """Count the rows of each of these parts. Raises DatasetError if one is missing or damaged."""
    results = [Tally() for _ in parts]
    _count(zip(parts, results, strict=True))
    return results


def left_out(parts: Iterable[Part]) -> Tally:
    """Count what no reader of rows gets: rows of unknown types, and times that Python does not support.
    Raises DatasetError if a part is missing or damaged.

    Row groups whose statistics prove that they have none of these are not counted, nor read.
    """
    result = Tally()
    _count(((part, result) for part in parts), plain=False)
    return result


def _count(parts: Iterable[tuple[Part, Tally]], *, plain: bool = True) -> None:
    """Add parts to tallies, or only their row groups that are not plain."""
    counts = Counting()
    for part, result in parts:
        for group in range(part.metadata.num_row_groups):
            if plain or not _is_plain(part, group):
                _tally_group(counts, result, part, group)
    counts.finish()


def attributes(parts: Iterable[Part]) -> dict[tuple[str, str], int]:
    """Rows of each attribute, by path and type; mostly from footers. Raises DatasetError if a part is missing
    or damaged."""
    counted: dict[tuple[str, str], int] = {}
    for part in parts:
        for group in range(part.metadata.num_row_groups):
            if single := part.single(group):
                rows = part.group(group).rows
                counted[single] = counted.get(single, 0) + rows
                continue
            doubtful = part.columns_with_doubt(group, VALUE_COLUMNS)
            for batch in _read(part, group, [*KEYS], doubtful):
                for kind, of_kind in counting.attributes(batch):
                    for path, rows in of_kind.items():
                        counted[path, kind] = counted.get((path, kind), 0) + rows
    return counted


def time_span(parts: Iterable[Part]) -> tuple[datetime | None, datetime | None]:
    """The first and the last time of the rows of one run, mostly from footers. Raises DatasetError if a part
    is missing or damaged."""
    result = Tally()
    for part in parts:
        for group in range(part.metadata.num_row_groups):
            doubtful = part.columns_with_doubt(group, VALUE_COLUMNS)
            if doubtful or not _time_range(result, part, group):
                for batch in _read(part, group, ["timestamp"], doubtful):
                    result.add_times(batch.column("timestamp"))
    return result.first_time, result.last_time


def _tally_group(counts: Counting, result: Tally, part: Part, group: int) -> None:
    """Count what statistics tell, then the rest from the columns that it takes."""
    doubtful = part.columns_with_doubt(group, VALUE_COLUMNS)
    single = part.single(group)
    columns = [] if single else [*KEYS]
    columns += _uncounted_steps(result, part, group, doubtful)
    columns += _uncounted_times(result, part, group, doubtful)
    of_files = _of_files(part) if single is None or single[1] in FILE_TYPE_NAMES else []
    columns += of_files
    if single:
        rows = part.group(group).rows
        result.add_rows(*single, rows)
        if not columns and single[1] in FILE_TYPE_NAMES:
            result.add_files(rows, {})
    if columns:
        for batch in _read(part, group, columns, doubtful, result):
            files = {name: batch.column(name) for name in of_files}
            if single is None:
                counts.add(result, batch, files)
            elif single[1] in FILE_TYPE_NAMES:
                result.add_files(len(batch), files)
            _add_extents(result, batch, columns)


def _uncounted_steps(result: Tally, part: Part, group: int, doubtful: Sequence[str]) -> list[str]:
    """Count steps from statistics. Returns the columns that must be read instead."""
    if part.valid_count(group, "step_float64") != 0:
        return ["step", "step_float64"]
    return ["step"] if doubtful or not _step_range(result, part, group) else []


def _uncounted_times(result: Tally, part: Part, group: int, doubtful: Sequence[str]) -> list[str]:
    """Count times from statistics. Returns the columns that must be read instead."""
    columns = ["timestamp"] if doubtful or not _time_range(result, part, group) else []
    if not part.ours and not _has_python_times(part, group, "datetime_value"):
        columns.append("datetime_value")
    return columns


def _of_files(part: Part) -> list[str]:
    """The columns from which the files of a part are counted, without the names in another tool's part."""
    return [name for name in FILE_COLUMNS if name in part.columns and (part.ours or name != "file_value")]


def _is_plain(part: Part, group: int) -> bool:
    """Whether statistics prove that all rows are of one known type, and that their times are Python's."""
    times = ("timestamp", "datetime_value")
    return part.is_all_of(group, TYPE_NAMES) and all(_has_python_times(part, group, c) for c in times)


def _has_python_times(part: Part, group: int, column: str) -> bool:
    """Whether statistics prove that all times of a column are in the years 1 to 9999."""
    if part.valid_count(group, column) == 0:
        return True
    extent = part.unscaled(group, column, "milliseconds")
    return extent is not None and is_python(extent)


def null_points(batch: pa.RecordBatch, valid: pa.Array) -> int:
    """How many rows are not valid but have a step or time, which no row of a parameter has."""
    placed = pc.or_(pc.is_valid(batch.column("step")), pc.is_valid(batch.column("timestamp")))
    return int(pc.sum(pc.and_(placed, pc.invert(valid)), min_count=0).as_py())


def validate(part: Part, batch: pa.RecordBatch) -> None:
    """Check a batch of another tool's part: a damaged page may point beyond its data. Raises DatasetError if
    the batch is damaged."""
    try:
        if not part.ours:
            batch.validate(full=True)
    except pa.ArrowException as error:
        raise DatasetError(f"{part.where} is damaged: {first_line(error)}") from error


def _read(
    part: Part, group: int, columns: list[str], doubtful: Sequence[str], counting: Tally | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a group that have a value. Counts the rows of series that have none."""
    wanted = list(dict.fromkeys([*columns, *columns_to_decide(doubtful)]))
    for stored in part.read_group(group, wanted, _ROWS):
        validate(part, stored)
        batch = stored
        if doubtful:
            batch = part.with_nan(stored, doubtful)
            valid = has_value(batch, doubtful)
            if counting is not None:
                counting.nulls += null_points(batch, valid)
                counting.null_nans += _null_numbers(stored) - _null_numbers(batch)
            batch = batch.filter(valid)
        yield part.converted(part.identified(batch), [name for name in columns if name not in KEYS])


def _null_numbers(batch: pa.RecordBatch) -> int:
    return int(batch.column("float_value").null_count) if "float_value" in batch.schema.names else 0


def _add_extents(result: Tally, batch: pa.RecordBatch, columns: Sequence[str]) -> None:
    result.add_steps({n: batch.column(n) for n in ("step", "step_float64") if n in columns})
    if "timestamp" in columns:
        result.add_times(batch.column("timestamp"))
    if "datetime_value" in columns:
        result.check_times(batch.column("datetime_value"))


def _step_range(result: Tally, part: Part, group: int) -> bool:
    """Count steps from statistics alone, if they tell."""
    count = part.valid_count(group, "step")
    extent = part.unscaled(group, "step", "scale=6") if count else None
    if extent is None:
        return count == 0
    result.add_step_range(extent[0] / 10**6, extent[1] / 10**6, count or 0)
    return True


def _time_range(result: Tally, part: Part, group: int) -> bool:
    """Count times from statistics alone, if they tell."""
    count = part.valid_count(group, "timestamp")
    extent = part.unscaled(group, "timestamp", "milliseconds") if count else None
    if extent is None or not is_python(extent):
        return count == 0
    result.add_time_range(*map(moment, extent))
    return True
