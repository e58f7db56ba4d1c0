"""A run as long as one likes, whose rows are made when they are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from neptune_exporter.contract.failures import AttributeFailure
from neptune_exporter.contract.rows import Parameter, Point, Row, Step, TextLine
from neptune_exporter.contract.run import ExportedRun, TypeCount
from neptune_exporter.errors import MissingFileError
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import FULL_SCHEMA, STEP_TYPE
from neptune_exporter.testing.runs import FIRST_TIME

_BATCH_ROWS = 4_096
_FIRST_TIME = int(FIRST_TIME.timestamp() * 1000)


class LongRun(ExportedRun):
    """One series of many rows.

    Args:
        kind: `points` or `texts`.
        length: How many rows.
        run_id: Its id.
    """

    def __init__(self, kind: str, length: int, run_id: str) -> None:
        self._run_id = run_id
        self._kind, self._length = kind, length
        is_text = kind == "texts"
        self._type = AttributeType.STRING_SERIES if is_text else AttributeType.FLOAT_SERIES

    @property
    def key(self) -> RunKey:
        return RunKey("acme/long", self._run_id)

    @property
    def fingerprint(self) -> str:
        return f"{self._length:x}"

    @property
    def complete(self) -> bool:
        return True

    @property
    def failures(self) -> tuple[AttributeFailure, ...]:
        return ()

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    def counts(self) -> Mapping[AttributeType, TypeCount]:
        return {self._type: TypeCount(1, self._length)}

    def parameters(self) -> Mapping[str, Parameter]:
        return {}

    def parent(self) -> RunKey | None:
        return None

    def fork_step(self) -> Step | None:
        return None

    def batches(
        self,
        types: Collection[AttributeType] | None = None,
        *,
        attributes: Collection[str] | None = None,
        columns: Collection[str] | None = None,
        batch_rows: int = 65_536,
        encoded: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        if (types is not None and self._type not in types) or (attributes and "series" not in attributes):
            return
        size = min(batch_rows, _BATCH_ROWS)
        for start in range(0, self._length, size):
            batch = self._batch(start, min(size, self._length - start), encoded)
            wanted = FULL_SCHEMA.names if columns is None else columns
            yield batch.select([name for name in FULL_SCHEMA.names if name in wanted])

    def _batch(self, start: int, rows: int, encoded: bool) -> pa.RecordBatch:
        numbers = np.arange(start, start + rows)
        paths = pa.array(["series"] * rows, pa.string())
        own = {
            "project_id": pa.array([self.key.project_id] * rows, pa.string()),
            "run_id": pa.array([self.key.run_id] * rows, pa.string()),
            "attribute_path": paths.dictionary_encode() if encoded else paths,
            "attribute_type": pa.array([self._type.value] * rows, pa.string()),
            "step": pa.array(numbers, pa.int64()).cast(pa.decimal128(19, 0)).cast(STEP_TYPE),
            "timestamp": pa.array(_FIRST_TIME + numbers, FULL_SCHEMA.field("timestamp").type),
        }
        if self._type is AttributeType.STRING_SERIES:
            own["string_value"] = pa.array([f"line {number}" for number in numbers], pa.string())
        else:
            own["float_value"] = pa.array(numbers / 7)
        arrays = [own.get(field.name, pa.nulls(rows, field.type)) for field in FULL_SCHEMA]
        return pa.RecordBatch.from_arrays(arrays, names=FULL_SCHEMA.names)

    def rows(self, types: Collection[AttributeType] | None = None) -> Iterator[Row]:
        for batch in self.batches(types, columns=("step", "timestamp", "float_value", "string_value")):
            for row in batch.to_pylist():
                if self._type is AttributeType.STRING_SERIES:
                    yield TextLine("series", row["step"], row["timestamp"], row["string_value"])
                else:
                    yield Point("series", row["step"], row["timestamp"], row["float_value"])

    def open_file(self, file: str) -> BinaryIO:
        raise MissingFileError(f"{self.key}: it has no files")
