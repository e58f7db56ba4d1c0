"""Records checksums of what another tool exported, so that later damage is found."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.dataset import Dataset
from neptune_exporter.dataset.format import checksums
from neptune_exporter.dataset.format.checksums import Checksum, RunChecksums
from neptune_exporter.dataset.format.paths import is_safe, sum_of_names
from neptune_exporter.dataset.read.named_files import named_files
from neptune_exporter.dataset.read.probing import probed
from neptune_exporter.dataset.read.stored_run import StoredRun
from neptune_exporter.model import RunKey
from neptune_exporter.toolkit.measuring import measured

_SAVE_BYTES = 4 << 30
"""Checksums are saved after this many bytes: an interruption costs no more."""


@dataclass(frozen=True)
class RunRecorded:
    """Checksums of a run were taken now."""

    run: RunKey
    parts: int
    files: int
    bytes: int
    """The bytes of the parts and files that were read."""


def _is_damaged(run: StoredRun) -> bool:
    """Whether parts are not as the receipt says, so that reading them is not safe."""
    try:
        return run.receipt is not None and bool(run.missing_parts() or run.changed_parts())
    except DatasetError:
        return True


def has_no_checksums(
    dataset: Dataset, run: StoredRun, is_damaged: Callable[[StoredRun], bool] = _is_damaged
) -> bool:
    """Whether damage of the run may go unnoticed: another tool exported it or some of its files, and no
    checksums of them were recorded. `is_damaged`: `_is_damaged`, which reads all parts, or what remembers its
    answer."""
    if not _may_lack(run):
        return False
    try:
        recorded = checksums.at(dataset.data, run.place)
    except DatasetError:
        return False  # verify names the file that is damaged
    return recorded is None or _is_more(run, recorded, is_damaged)


def recorded_names(dataset: Dataset, run: StoredRun) -> list[str] | None:
    """The files that the rows of another tool's run name, sorted, as they were recorded. None if they were
    not, parts have changed since, or rows name others too: those twice, unsafe ones, and unreadable ones."""
    try:
        recorded = checksums.at(dataset.data, run.place)
    except DatasetError:
        return None  # verify names the file that is damaged
    if recorded is None:
        return None
    stamps = {run.place.path(name): (each.bytes, each.changed_ns) for name, each in recorded.parts.items()}
    names = sorted({*recorded.files, *recorded.missing})
    is_same = stamps == {path: dataset.data.stamp(path) for path in run.part_paths}
    return names if is_same and len(names) == run.tally.files else None


def _may_lack(run: StoredRun) -> bool:
    """Whether parts or rows of the run have no checksums. Those of another tool have none."""
    if run.receipt is not None:
        return run.receipt.files_without_checksum != "0"
    if any(path == run.place.receipt for path, _ in run.cut_short):
        return False  # ours without its receipt: what is left of it is no state to hold on to
    return bool(run.listed.part_names) and not run.has_unreadable_receipt


def _is_more(run: StoredRun, recorded: RunChecksums, is_damaged: Callable[[StoredRun], bool]) -> bool:
    """Whether the run has parts or files that came after its checksums were recorded."""
    names: Iterable[str] = recorded.missing
    if run.receipt is None:
        if not recorded.parts.keys() >= set(run.listed.part_names):
            return True
    elif run.receipt.files_without_checksum != f"{sum_of_names([*recorded.files, *recorded.missing]):x}":
        if is_damaged(run):
            return True
        names = _names(run) - recorded.files.keys()
    return any(_file_size(run, name) is not None for name in names)


def record(dataset: Dataset, wanted: Callable[[RunKey], bool] = lambda key: True) -> Iterator[RunRecorded]:
    """Record the checksums of all parts and files of wanted runs that have none. Those that have some keep
    them. Raises DatasetError if the folder cannot be written, or the recorded checksums are damaged.

    Writes only the file of checksums. Damage that exists already is recorded as it is; `verify` reports it
    each time, as far as it can be seen.
    """
    is_damaged = lru_cache(maxsize=1)(_is_damaged)
    for folder, runs in itertools.groupby(dataset.runs(), lambda run: run.place.folder):
        known: dict[str, bytes] = {}
        unsaved = 0
        for run in runs:
            # the names in damaged parts cannot be trusted; `verify` reports the damage
            if not wanted(run.key) or not has_no_checksums(dataset, run, is_damaged) or is_damaged(run):
                continue
            known = known or dict(checksums.read(dataset.data, folder))
            if (recorded := _recorded(dataset, run, known)) is not None:
                unsaved += max(recorded.bytes, 1)
                if unsaved >= _SAVE_BYTES:
                    checksums.write(dataset.data, folder, known)
                    unsaved = 0
                yield recorded
        if unsaved:
            checksums.write(dataset.data, folder, known)


def _recorded(dataset: Dataset, run: StoredRun, known: dict[str, bytes]) -> RunRecorded | None:
    """Add the checksums of a run to what is known of its folder; None if what lacks some cannot be read."""
    stem = run.place.stem
    earlier = checksums.of_run(known, stem)
    new = _checksums(dataset, run, earlier)
    if earlier is not None and not (new.parts or new.files):
        return None
    known[stem] = checksums.to_json(stem, earlier.with_more(new) if earlier else new)
    size = sum(each.bytes for each in (*new.parts.values(), *new.files.values()))
    return RunRecorded(run.key, len(new.parts), len(new.files), size)


def _checksums(dataset: Dataset, run: StoredRun, earlier: RunChecksums | None) -> RunChecksums:
    """The checksums of what has none in the receipt, in rows or in an earlier recording."""
    parts = {}
    for name in () if run.receipt else run.listed.part_names:
        if earlier is None or name not in earlier.parts:
            path = run.place.path(name)
            size, changed_ns = dataset.data.stamp(path) or (0, 0)
            parts[name] = Checksum(size, dataset.data.sha256(path), changed_ns, _facts(dataset, path))
    names = _names(run) - (earlier.files.keys() if earlier else set())
    files = dict(_files(run, names))
    missing = tuple(sorted(names - files.keys()))
    now = datetime.now(timezone.utc)
    return RunChecksums(run.key.project_id, run.key.run_id, now, parts, files, missing)


def _facts(dataset: Dataset, path: str) -> dict[str, Any] | None:
    """The result of probing a part; `Dataset.runs` has just probed it."""
    try:
        facts = probed(dataset.data).facts(dataset.data, path)
    except DatasetError:
        return None
    return None if facts is None else facts.to_json()


def _names(run: StoredRun) -> set[str]:
    """The files that rows without a checksum name, as far as the parts can be read."""
    names: set[str] = set()
    for part in run.parts_once():
        with contextlib.suppress(DatasetError):
            names.update(filter(is_safe, named_files([part], without="file_sha256")))
    return names


def _files(run: StoredRun, names: Iterable[str]) -> Iterator[tuple[str, Checksum]]:
    """The checksums of the existing files. `verify` reports those that cannot be read."""
    for name in sorted(names):
        with contextlib.suppress(DatasetError):
            if (size := run.file_size(name)) is not None:
                yield name, Checksum(size, digest_of(run, name))


def _file_size(run: StoredRun, name: str) -> int | None:
    with contextlib.suppress(DatasetError):
        return run.file_size(name)
    return None


def digest_of(run: StoredRun, file: str) -> str:
    """SHA-256 of a file that a row names, in hex; streamed."""
    with run.open_file(file) as stream:
        return measured(stream)[1]
