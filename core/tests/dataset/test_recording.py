"""Recorded checksums of another tool's export: later damage is found, and the export stays as it was."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from neptune_exporter.contract import AttributeSelection, DatasetError, SourceRun
from neptune_exporter.dataset import Dataset, Finding, record, verify
from neptune_exporter.dataset.check.recording import has_no_checksums
from neptune_exporter.dataset.format import checksums, rowless
from neptune_exporter.dataset.format.layout import checksums as checksum_file

from .exporting import KEY, write


def contents(dataset: Dataset) -> dict[Path, str]:
    """A digest of every file but those that we keep beside them."""
    roots = dataset.data_path, dataset.files_path
    paths = [p for root in roots for p in root.rglob("*") if p.is_file() and "_receipts" not in p.parts]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def findings(dataset: Dataset) -> list[Finding]:
    return [item for item in verify(dataset) if isinstance(item, Finding)]


def new_findings(dataset: Dataset, before: list[Finding]) -> list[Finding]:
    return [item for item in findings(dataset) if item not in before]


@pytest.fixture
def before(existing: Dataset) -> list[Finding]:
    """What `verify` finds in the export as it came, before its checksums are recorded."""
    found = findings(existing)
    assert all(has_no_checksums(existing, run) for run in existing.runs())
    unchanged = contents(existing)
    assert len(list(record(existing))) == len(list(existing.runs()))
    assert contents(existing) == unchanged
    assert not any(has_no_checksums(existing, run) for run in existing.runs())
    assert findings(existing) == found
    return found


def test_every_flipped_byte_of_a_file_is_found(existing: Dataset, before: list[Finding]) -> None:
    files = [path for path in existing.files_path.rglob("*") if path.is_file() and path.stat().st_size]
    assert len(files) > 5
    for path in files[::3]:
        content = path.read_bytes()
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        (found,) = new_findings(existing, before)
        assert found.is_damage and ", when checksums were recorded (SHA" in found.message
        assert path.as_posix().endswith(found.item)
        path.write_bytes(content)
    assert new_findings(existing, before) == []


def test_every_flipped_byte_of_a_part_is_found(existing: Dataset, before: list[Finding]) -> None:
    for part in sorted(existing.data_path.rglob("*_part_*.parquet"))[::4]:
        content = part.read_bytes()
        for position in (len(content) // 5, len(content) - 20):
            part.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
            found = [f for f in new_findings(existing, before) if f.is_damage]
            assert any("SHA-256 differs" in f.message and part.as_posix().endswith(f.item) for f in found)
        part.write_bytes(content)


def test_what_is_gone_is_found(existing: Dataset, before: list[Finding]) -> None:
    run = next(run for run in existing.runs() if len(run.listed.part_names) == 1)
    (path,) = run.part_paths
    (existing.data_path / path).unlink()
    (found,) = [f for f in new_findings(existing, before) if f.is_damage]
    assert found.run == run.key and "is gone" in found.message


def test_a_second_recording_keeps_the_first(existing: Dataset, before: list[Finding]) -> None:
    part = min(existing.data_path.rglob("*_part_*.parquet"))
    part.write_bytes(part.read_bytes() + b"x")
    assert list(record(existing)) == []
    assert any("bytes, and had" in f.message for f in new_findings(existing, before))


def test_damaged_checksums_are_damage(existing: Dataset, before: list[Finding]) -> None:
    folder = next(existing.runs()).place.folder
    path = existing.data_path / checksum_file(folder)
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="is damaged"):
        checksums.read(existing.data, folder)
    found = [f for f in new_findings(existing, before) if f.item == checksum_file(folder)]
    assert len(found) == 1 and found[0].is_damage


def test_many_runs_are_kept_as_they_are_stored(existing: Dataset) -> None:
    """As objects, what is recorded of 10,000 runs took 30 MB more than this."""
    list(record(existing))
    folder = next(existing.runs()).place.folder
    stored = rowless.unsealed((existing.data_path / checksum_file(folder)).read_bytes())
    recorded = checksums.read(existing.data, folder)
    lines = list(recorded.values())
    assert lines and b"\n".join(lines) == stored
    assert all((run := checksums.of_run(recorded, stem)) and run.parts for stem in recorded)
    assert rowless.sealed_lines(lines) == rowless.sealed(stored)
    assert rowless.unsealed(rowless.sealed(b"")) == rowless.unsealed(rowless.sealed_lines([])) == b""


def test_a_run_of_ours_that_lost_its_receipt_is_not_taken_for_another_tools(dataset: Dataset) -> None:
    """`verify` calls it damaged each time. Checksums of what is left would make that state look sound."""
    writer = dataset.writer(KEY)
    write(dataset, writer, 1.0, 1)
    writer.publish(SourceRun(KEY), "test 1", [AttributeSelection()])
    next(dataset.data_path.rglob("*.receipt.parquet")).unlink()
    (run,) = dataset.runs()
    assert not has_no_checksums(dataset, run)
    assert list(record(dataset)) == []
    assert any("nothing tells whether the run is whole" in finding.message for finding in findings(dataset))
