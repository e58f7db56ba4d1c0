"""Records checksums of runs that another tool exported, so that later damage is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.dataset import Dataset
from neptune_exporter.dataset.format import checksums
from neptune_exporter.dataset.format.checksums import Checksum, RunChecksums
from neptune_exporter.dataset.format.paths import is_safe
from neptune_exporter.dataset.read.probing import probed
from neptune_exporter.dataset.read.stored_run import StoredRun
from neptune_exporter.dataset.write.cleanup import named_files
from neptune_exporter.model import RunKey
from neptune_exporter.toolkit.measuring import measured

_SAVE_BYTES = 4 << 30
"""Checksums are saved after this many bytes: an interruption costs no more."""


@dataclass(frozen=True)
class RunRecorded:
    """The checksums of a run were taken."""

    run: RunKey
    parts: int
    files: int
    bytes: int
    """The bytes of the parts and files that were read."""


def has_no_checksums(dataset: Dataset, run: StoredRun) -> bool:
    """Whether damage of the run may go unnoticed: another tool exported it, and no checksums were
    recorded."""
    if run.receipt is not None or run.has_unreadable_receipt or not run.listed.part_names:
        return False
    if any(path == run.place.receipt for path, _ in run.cut_short):
        return False  # ours without its receipt: what is left of it is no state to hold on to
    try:
        return run.place.stem not in checksums.read(dataset.data, run.place.folder)
    except DatasetError:
        return False  # verify names the file that is damaged


def record(dataset: Dataset, wanted: Callable[[RunKey], bool] = lambda key: True) -> Iterator[RunRecorded]:
    """Record the checksums of all wanted runs that have none. Those that have some keep them.

    Writes only the file of checksums. Damage that exists already is recorded as it is; `verify` reports it
    each time, as far as it can be seen.

    Raises:
        DatasetError: the folder cannot be written, or the recorded checksums are damaged.
    """
    folder, known, unsaved = "", checksums.Recorded(), 0
    for run in dataset.runs():
        if not wanted(run.key) or not has_no_checksums(dataset, run):
            continue
        if unsaved and (run.place.folder != folder or unsaved >= _SAVE_BYTES):
            checksums.write(dataset.data, folder, known)
            unsaved = 0
        if run.place.folder != folder:
            folder = run.place.folder
            known = checksums.read(dataset.data, folder).copy()
        taken = _checksums(dataset, run)
        known.add(run.place.stem, taken)
        size = sum(each.bytes for each in (*taken.parts.values(), *taken.files.values()))
        unsaved += size
        yield RunRecorded(run.key, len(taken.parts), len(taken.files), size)
    if unsaved:
        checksums.write(dataset.data, folder, known)


def _checksums(dataset: Dataset, run: StoredRun) -> RunChecksums:
    parts = {}
    for name in run.listed.part_names:
        path = run.place.path(name)
        size, changed_ns = dataset.data.stamp(path) or (0, 0)
        parts[name] = Checksum(size, dataset.data.sha256(path), changed_ns, _facts(dataset, path))
    return RunChecksums(
        run.key.project_id, run.key.run_id, datetime.now(timezone.utc), parts, dict(_files(run))
    )


def _facts(dataset: Dataset, path: str) -> dict[str, Any] | None:
    """The result of probing a part; `Dataset.runs` has just probed it."""
    try:
        facts = probed(dataset.data).facts(dataset.data, path)
    except DatasetError:
        return None
    return None if facts is None else facts.to_json()


def _files(run: StoredRun) -> Iterator[tuple[str, Checksum]]:
    """The checksums of the existing files. `verify` reports those that cannot be read."""
    names: set[str] = set()
    for part in run.parts_once():
        try:
            names.update(name for name in named_files([part]) if is_safe(name))
        except DatasetError:
            continue
    for name in sorted(names):
        try:
            size = run.file_size(name)
            if size is not None:
                yield name, Checksum(size, digest_of(run, name))
        except DatasetError:
            continue


def digest_of(run: StoredRun, file: str) -> str:
    """SHA-256 of a file that a row names, in hex; streamed."""
    with run.open_file(file) as stream:
        return measured(stream)[1]
