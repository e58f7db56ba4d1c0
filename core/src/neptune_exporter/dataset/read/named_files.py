"""The files that rows name, for what is asked about all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from neptune_exporter import compute as pc
from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format import paths
from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.tally import Tally
from neptune_exporter.dataset.read.wanted import Wanted
from neptune_exporter.model import FILE_TYPE_NAMES, RunKey

_WANTED = Wanted(("file_value", "file_size", "file_sha256"), FILE_TYPE_NAMES)
_ROWS = 65_536


def named_files(parts: Iterable[Part], *, without: str = "") -> Iterator[str]:
    """The value of `file_value.path` in each row that names a file. `without`: only in rows that have no
    value in this column."""
    columns = ("file_value", without) if without else ("file_value",)
    for part in parts:
        for batch in part.batches(Wanted(columns, FILE_TYPE_NAMES), _ROWS):
            yield from _names(batch, without)


def _names(batch: pa.RecordBatch, without: str = "") -> list[str]:
    named = pc.struct_field(batch.column("file_value"), "path")
    if without:
        named = named.filter(pc.is_null(batch.column(without)))
    return named.drop_null().to_pylist()  # type: ignore[no-any-return]


def file_totals(
    tally: Tally, parts: Iterable[Part], files: Storage, place: Place, key: RunKey
) -> dict[str, Any]:
    """What a receipt says about the files of a run, beside their number, by the names of its fields.

    From the counts of the parts. They are read only if rows have no checksum, as those of other tools; then
    sizes come from the files themselves.
    """
    size, names, unproven = tally.file_bytes, tally.file_names, 0
    if tally.without_checksum:
        files.look(place.files_folder, recursive=True)
        names, unsized = 0, set[str]()
        for batch in (batch for part in parts for batch in part.batches(_WANTED, _ROWS)):
            names = paths.added_names(names, paths.sum_of_names(_names(batch)))
            unproven = paths.added_names(unproven, paths.sum_of_names(_names(batch, "file_sha256")))
            unsized.update(_names(batch, "file_size"))
        for name in unsized:
            with contextlib.suppress(DatasetError):  # `verify` names it
                path = paths.find(files, place.project_folder, name, key)
                size += (files.size(path) or 0) if path else 0
    return {"file_bytes": size, "file_names": f"{names:x}", "files_without_checksum": f"{unproven:x}"}
