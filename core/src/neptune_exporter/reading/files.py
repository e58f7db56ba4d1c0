"""The files of runs: a table of them, their bytes, copies of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from neptune_exporter.contract import RunView
from neptune_exporter.model import FILE_TYPES
from neptune_exporter.schema import TIME_TYPE, step_as_float

SCHEMA = pa.schema(
    [
        ("project", pa.string()),
        ("run", pa.string()),
        ("attribute", pa.string()),
        ("type", pa.string()),
        ("step", pa.float64()),
        ("timestamp", TIME_TYPE),
        ("path", pa.string()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
    ]
)
_COLUMNS = (
    "attribute_path",
    "attribute_type",
    "step",
    "step_float64",
    "timestamp",
    "file_value",
    "file_size",
    "file_sha256",
)


def files_table(runs: Iterable[RunView], has_attribute: Callable[[str], bool]) -> pa.Table:
    """A row per file, in the columns of `SCHEMA`; `path` is below the project's folder of files."""
    return pa.Table.from_batches([batch for run in runs for batch in _files(run, has_attribute)], SCHEMA)


def _files(run: RunView, has_attribute: Callable[[str], bool]) -> Iterator[pa.RecordBatch]:
    paths = {each.path for each in run.attributes() if each.type in FILE_TYPES}
    wanted = [path for path in paths if has_attribute(path)]
    for batch in run.batches(FILE_TYPES, attributes=wanted, columns=_COLUMNS) if wanted else ():
        yield pa.RecordBatch.from_arrays(
            [
                pa.repeat(pa.scalar(run.key.project_id), len(batch)),
                pa.repeat(pa.scalar(run.key.run_id), len(batch)),
                batch.column("attribute_path"),
                batch.column("attribute_type"),
                step_as_float(batch),
                batch.column("timestamp"),
                batch.column("file_value").field("path"),
                batch.column("file_size"),
                batch.column("file_sha256"),
            ],
            schema=SCHEMA,
        )


def copy_file(run: RunView, path: str, destination: Path) -> Path:
    """Copy a file of a run below a folder, by project, run and path; returns where it is.

    Raises:
        MissingFileError, UnsafePathError: as `ExportedRun.open_file`.
    """
    target = destination / _folder(run.key.project_id) / Path(path.replace("\\", "/"))
    with run.open_file(path) as source:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
    return target


def _folder(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_-." else "_" for c in name).lstrip(".")
