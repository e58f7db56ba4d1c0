"""The files that rows name, for what is asked about all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow.compute as pc

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format import paths
from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.tally import Tally
from neptune_exporter.dataset.read.wanted import Wanted
from neptune_exporter.model import FILE_TYPE_NAMES, RunKey


def named_files(parts: Iterable[Part], *, without: str = "") -> Iterator[str]:
    """The value of `file_value.path` in each row that names a file. `without`: only in rows that have no
    value in this column."""
    columns = ("file_value", without) if without else ("file_value",)
    for part in parts:
        for batch in part.batches(Wanted(columns, FILE_TYPE_NAMES), 65_536):
            named = pc.struct_field(batch.column("file_value"), "path")
            if without:
                named = named.filter(pc.is_null(batch.column(without)))
            yield from named.drop_null().to_pylist()


def file_totals(
    tally: Tally, parts: Iterable[Part], files: Storage, place: Place, key: RunKey
) -> dict[str, Any]:
    """What a receipt says about the files of a run, beside their number, by the names of its fields.

    From the counts of the parts. They are read only if rows have no checksum, as those of other tools; then
    sizes come from the files themselves.
    """
    size, names, unproven = tally.file_bytes, tally.file_names, 0
    if tally.without_checksum:
        parts = list(parts)
        files.look(place.files_folder, recursive=True)
        for name in sorted(set(named_files(parts, without="file_size"))):
            with contextlib.suppress(DatasetError):  # `verify` names it
                path = paths.find(files, place.project_folder, name, key)
                size += (files.size(path) or 0) if path else 0
        names = paths.sum_of_names(named_files(parts))
        unproven = paths.sum_of_names(named_files(parts, without="file_sha256"))
    return {"file_bytes": size, "file_names": f"{names:x}", "files_without_checksum": f"{unproven:x}"}
