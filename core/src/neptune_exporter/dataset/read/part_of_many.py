"""Parts with rows of several runs, `part_<N>.parquet`: the earlier tool wrote them before 2025-11-11."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from neptune_exporter import compute as pc
from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format.columns import is_in
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.wanted import Wanted
from neptune_exporter.model import RunKey, RunKind
from neptune_exporter.toolkit.cached import cached_property

_IDS = ("project_id", "run_id")
_ROWS = 1 << 18


class PartOfMany(Part):
    """One run's rows in such a part. Only statistics that hold for any rows of the part are used."""

    def __init__(self, storage: Storage, path: str, run: RunKey) -> None:
        super().__init__(storage, path)
        self._run = run

    @cached_property
    def rows(self) -> int:
        """Of the run."""
        groups = range(self.metadata.num_row_groups)
        return sum(len(b) for group in groups for b in self.read_group(group, ["attribute_type"], _ROWS))

    @property
    def stored_bytes(self) -> int:
        """The share of the part's bytes that these rows make; all of them if it is damaged."""
        try:
            return super().stored_bytes * self.rows // max(1, int(self.metadata.num_rows))
        except DatasetError:
            return super().stored_bytes

    def identity(self) -> tuple[str, str] | None:
        return self._run.project_id, self._run.run_id

    def may_hold(self, group: int, wanted: Wanted) -> bool:
        return self._may_be_of_run(group) and super().may_hold(group, wanted)

    def unscaled(self, group: int, leaf: str, unit: str) -> tuple[int, int] | None:
        return None

    def valid_count(self, group: int, leaf: str) -> int | None:
        return 0 if super().valid_count(group, leaf) == 0 else None

    def read_group(
        self, group: int, columns: Sequence[str], batch_rows: int, *, keep_rows: bool = False
    ) -> Iterator[pa.RecordBatch]:
        if not self._may_be_of_run(group):
            return
        wanted = list(dict.fromkeys([*columns, *_IDS]))
        for batch in super().read_group(group, wanted, batch_rows, keep_rows=keep_rows):
            ours = [is_in(batch.column(name), {value}) for name, value in zip(_IDS, self._ids, strict=True)]
            kept = batch.filter(pc.and_(*ours))
            yield kept.select([n for n in kept.schema.names if n not in _IDS or n in columns])

    def _may_be_of_run(self, group: int) -> bool:
        extents = (self.extent(group, name) for name in _IDS)
        return all(
            extent is None or extent[0] <= value <= extent[1]
            for extent, value in zip(extents, self._ids, strict=True)
        )

    @property
    def _ids(self) -> tuple[str, str]:
        return self._run.project_id, self._run.run_id


def runs_in(part: Part, kind: RunKind) -> list[RunKey]:
    """The ids of the runs (or models, or versions) in a part, sorted. Raises DatasetError if the part is
    damaged."""
    found: set[tuple[str, str]] = set()
    for group in range(part.metadata.num_row_groups):
        for batch in part.read_group(group, _IDS, _ROWS):
            plain = pa.table([c.cast(pa.string()) for c in batch.columns], names=list(_IDS))
            pairs = plain.group_by(list(_IDS)).aggregate([])
            found.update(zip(*(pairs.column(name).to_pylist() for name in _IDS), strict=True))
    return sorted(RunKey(p, r, kind) for p, r in found if p is not None and r is not None)
