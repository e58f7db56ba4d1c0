"""The table schema of the dataset, and how a source fills only the columns that it has.

The 14 columns are those of the exports that people already hold and never change.
The three extra ones are nullable, and readers that ask for the 14 do not see them:

- `step_float64`: a step that decimal(18,6) cannot hold exactly; where it is set, it is the step.
- `file_size` (bytes) and `file_sha256` (hex): of the file that `file_value` names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from neptune_exporter import compute as pc
from neptune_exporter.model import FILE_TYPES, AttributeType

STEP_TYPE = pa.decimal128(18, 6)
TIME_TYPE = pa.timestamp("ms", tz="UTC")
FILE_TYPE = pa.struct([("path", pa.string())])
HISTOGRAM_TYPE = pa.struct(
    [("type", pa.string()), ("edges", pa.list_(pa.float64())), ("values", pa.list_(pa.float64()))]
)

SCHEMA = pa.schema(
    [
        ("project_id", pa.string()),
        ("run_id", pa.string()),
        ("attribute_path", pa.string()),
        ("attribute_type", pa.string()),
        ("step", STEP_TYPE),
        ("timestamp", TIME_TYPE),
        ("int_value", pa.int64()),
        ("float_value", pa.float64()),
        ("string_value", pa.string()),
        ("bool_value", pa.bool_()),
        ("datetime_value", TIME_TYPE),
        ("string_set_value", pa.list_(pa.string())),
        ("file_value", FILE_TYPE),
        ("histogram_value", HISTOGRAM_TYPE),
    ]
)
"""The 14 columns of every part."""

EXTRA_COLUMNS = pa.schema(
    [("step_float64", pa.float64()), ("file_size", pa.int64()), ("file_sha256", pa.string())]
)
"""Columns that a part has only where a row of it needs them."""

FULL_SCHEMA = pa.schema([*SCHEMA, *EXTRA_COLUMNS])
"""What readers hand out: the 14 columns, then the extra ones (null where the part has none)."""

VALUE_COLUMN: Mapping[AttributeType, str] = {
    kind: "file_value" if kind in FILE_TYPES else f"{kind.value.removesuffix('_series')}_value"
    for kind in AttributeType
}
"""The column that holds the value of an attribute of each type."""

_PER_STEP = 10**6
"""Millionths: a decimal(18,6) holds whole ones."""
_EXACT_FLOAT = 2.0**53
"""Doubles below this hold every integer."""


def attribute_batch(
    attribute_path: str, attribute_type: AttributeType, columns: Mapping[str, pa.Array]
) -> pa.RecordBatch:
    """A batch of one attribute from only the columns that it has.

    Args:
        attribute_path: The full path; every row gets it.
        attribute_type: The type; every row gets it.
        columns: Arrays of one length by column name, e.g. `step`, `timestamp`,
            `float_value`. Columns that are left out are null; the writer adds
            `project_id` and `run_id`.

    Examples:
        >>> columns = {**step_columns(pa.array([0.0, 1.0])), "float_value": pa.array([0.9, 0.5])}
        >>> batch = attribute_batch("train/loss", AttributeType.FLOAT_SERIES, columns)
        >>> batch.schema.names
        ['attribute_path', 'attribute_type', 'step', 'float_value']
    """
    if not columns:
        raise ValueError("attribute_batch needs at least one column, or its length is unknown")
    length = len(next(iter(columns.values())))
    arrays = {
        "attribute_path": _repeated(attribute_path, length),
        "attribute_type": _repeated(attribute_type.value, length),
        **columns,
    }
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def series_batch(
    rows: Sequence[tuple[str, int]], attribute_type: AttributeType, columns: Mapping[str, pa.Array]
) -> pa.RecordBatch:
    """A batch of several attributes of one type, whose rows follow one another.

    Args:
        rows: Path and number of rows; a path may come again.
        columns: As of `attribute_batch`.

    Examples:
        >>> columns = {**step_columns(pa.array([0.0, 1.0, 0.0])), "float_value": pa.array([0.9, 0.5, 0.7])}
        >>> batch = series_batch([("train/loss", 2), ("val/loss", 1)], AttributeType.FLOAT_SERIES, columns)
        >>> batch["attribute_path"].to_pylist()
        ['train/loss', 'train/loss', 'val/loss']
    """
    numbers = {path: number for number, path in enumerate(dict.fromkeys(path for path, _ in rows))}
    codes = np.repeat(np.array([numbers[path] for path, _ in rows], np.int32), [count for _, count in rows])
    paths = pa.array(list(numbers), pa.string())
    arrays = {
        "attribute_path": pa.DictionaryArray.from_arrays(pa.array(codes), paths, safe=False),
        "attribute_type": _repeated(attribute_type.value, len(codes)),
        **columns,
    }
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def parameter_batch(values: Sequence[tuple[str, AttributeType, object]]) -> pa.RecordBatch:
    """A batch of single values: `(attribute_path, attribute_type, value)` triples.

    A value is an int, float, str, bool, aware datetime, or an iterable of str.

    Examples:
        >>> lr, tags = ("lr", AttributeType.FLOAT, 0.1), ("sys/tags", AttributeType.STRING_SET, {"b", "a"})
        >>> batch = parameter_batch([lr, tags])
        >>> batch["string_set_value"].to_pylist()
        [None, ['a', 'b']]
    """
    paths, types = [v[0] for v in values], [v[1] for v in values]
    columns: dict[str, list[object]] = {}
    for row, (_, attribute_type, value) in enumerate(values):
        column = columns.setdefault(VALUE_COLUMN[attribute_type], [None] * len(values))
        column[row] = sorted(map(str, value)) if attribute_type is AttributeType.STRING_SET else value  # type: ignore[call-overload]
    arrays = [pa.array(paths, pa.string()), pa.array([t.value for t in types], pa.string())]
    arrays += [pa.array(cells, SCHEMA.field(name).type) for name, cells in columns.items()]
    return pa.RecordBatch.from_arrays(arrays, names=["attribute_path", "attribute_type", *columns])


def step_columns(steps: pa.Array) -> dict[str, pa.Array]:
    """The `step` column for float64 steps, and `step_float64` where one does not fit.

    Clients hand out steps as doubles, and Neptune 3 keeps six decimals of them. A double that is the nearest
    one to a decimal(18,6) is stored as that decimal. Any other (finer than a millionth, beyond 12 digits, not
    finite) is also kept as it is in `step_float64`, so that no two steps merge; `step` then holds the nearest
    decimal for readers that know only the 14 columns, or null if none is near.

    Examples:
        >>> columns = step_columns(pa.array([0.5, 1e-9]))
        >>> columns["step"].to_pylist(), columns["step_float64"].to_pylist()
        ([Decimal('0.500000'), Decimal('0.000000')], [None, 1e-09])
    """
    steps = steps.cast(pa.float64())
    per_step = pa.scalar(_PER_STEP, pa.int64())
    whole = _whole(steps)
    if whole is not None:
        return {"step": _decimal_from_millionths(pc.multiply(whole, per_step))}
    fits = pc.fill_null(pc.less(pc.abs(steps), 1e12), False)
    integral = pc.and_(fits, pc.equal(pc.floor(steps), steps))
    # A product below 2**53 is rounded correctly, and so is the division that checks it. Above, only
    # whole steps are taken for exact: a rare fraction more in the extra column loses nothing.
    scaled = pc.round(pc.multiply(pc.if_else(fits, steps, None), float(_PER_STEP)))
    whole = pc.multiply(pc.if_else(integral, steps, 0.0).cast(pa.int64()), per_step)
    millionths = pc.if_else(integral, whole, scaled.cast(pa.int64(), safe=False))
    checked = pc.and_(
        pc.less(pc.abs(scaled), _EXACT_FLOAT), pc.equal(pc.divide(scaled, float(_PER_STEP)), steps)
    )
    exact = pc.fill_null(pc.or_(integral, checked), False)
    inexact = pc.and_(pc.is_valid(steps), pc.invert(exact))
    columns = {"step": _decimal_from_millionths(millionths)}
    if pc.any(inexact, min_count=0).as_py():
        columns["step_float64"] = pc.if_else(inexact, steps, pa.scalar(None, pa.float64()))
    return columns


def step_as_float(batch: pa.RecordBatch) -> pa.Array:
    """The steps of a batch as float64: `step_float64` where it is set, else `step`.

    Examples:
        >>> for batch in run.batches([AttributeType.FLOAT_SERIES]):
        ...     print(step_as_float(batch).to_pylist())
        [0.0, 1.0, 2.0]
    """
    millionths = pc.cast(pc.multiply(batch.column("step"), pa.scalar(Decimal(_PER_STEP))), pa.int64())
    steps = pc.divide(millionths.cast(pa.float64(), safe=False), float(_PER_STEP))
    if "step_float64" not in batch.schema.names:
        return steps
    return pc.coalesce(batch.column("step_float64"), steps)


def _whole(steps: pa.Array) -> pa.Array | None:
    """The steps as integers if all are whole and below 1e12, as nearly always; None otherwise."""
    try:
        whole = steps.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    extent = pc.min_max(whole)
    low, high = extent["min"].as_py(), extent["max"].as_py()
    return whole if low is None or -(10**12) < low <= high < 10**12 else None


def _decimal_from_millionths(millionths: pa.Array) -> pa.Array:
    """decimal128(18,6) whose unscaled values are the given int64: its digits, read otherwise."""
    if isinstance(millionths, pa.ChunkedArray):
        millionths = millionths.combine_chunks()
    digits = millionths.cast(pa.decimal128(19, 0))
    return pa.Array.from_buffers(STEP_TYPE, len(digits), digits.buffers(), digits.null_count, digits.offset)


def step_millionths(steps: pa.Array) -> npt.NDArray[np.int64]:
    """The unscaled values of a decimal128(18,6), not copied. What stands where a step is null means nothing.

    The 16 bytes of such a decimal begin with a number of 8 bytes, which holds 18 digits and their sign.

    Examples:
        >>> step_millionths(pa.array([Decimal("1.5"), Decimal(-2)], STEP_TYPE)).tolist()
        [1500000, -2000000]
    """
    digits = steps.buffers()[1]
    if digits is None:
        return np.zeros(len(steps), np.int64)
    return np.frombuffer(digits, np.int64)[2 * steps.offset : 2 * (steps.offset + len(steps)) : 2]


def _repeated(value: str, length: int) -> pa.Array:
    """One string for every row, at the cost of one: dictionary-encoded."""
    indices = pa.repeat(pa.scalar(0, pa.int32()), length)
    return pa.DictionaryArray.from_arrays(indices, pa.array([value], pa.string()))
