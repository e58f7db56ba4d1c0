"""Logs of which the client sends and deletes the beginning between two exports: no point is there twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import AttributeSelection
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.export import ExportOptions, ExportResult, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import AttributeClass
from neptune_exporter_offline.plugin import neptune_exporter_sources
from neptune_exporter_offline.settings import OfflineSettings

from .test_exported_again import export as export_command
from .test_exported_again import exported, numbered
from .test_repeats import UUID, point

EACH = 5
"""Points in a file of the log."""


def export(work: Path, *paths: Path, **options: Any) -> ExportResult:
    (spec,) = neptune_exporter_sources()
    settings = OfflineSettings(path=tuple(map(str, paths or (work,))), project="a/b")
    where = work / "exports"
    return export_runs(
        spec, settings, ExportOptions((), where / "data", where / "files", **options), Progress()
    )


def folder_of(work: Path, process: str = "1__abcdefgh") -> Path:
    return work / ".neptune" / "async" / f"run__{UUID}__{process}"


def write(folder: Path, first: int, last: int, make: Callable[[int], str] = point) -> Path:
    """The log of the async mode, a file for every five records."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(first, last + 1, EACH):
        records = [make(n) for n in range(start, min(start + EACH, last + 1))]
        (folder / f"data-{start}.log").write_text("".join(records))
    (folder / "last_put_version").write_text(str(last))
    return folder


def send(folder: Path, *starts: int) -> None:
    """The client notes what the server has, and deletes files of which that is all (`DiskQueue.ack`)."""
    for start in starts:
        (folder / f"data-{start}.log").unlink()
        (folder / "last_ack_version").write_text(str(start + EACH))


def notes(work: Path) -> str:
    (run,) = Dataset(work / "exports" / "data", work / "exports" / "files").runs()
    return " ".join(run.notes)


@pytest.mark.parametrize("sent", [(1,), (1, 6)])
def test_points_keep_their_number_and_are_there_once(tmp_path: Path, sent: tuple[int, ...]) -> None:
    log = write(folder_of(tmp_path), 1, 15)
    export_command(tmp_path)
    assert exported(tmp_path) == numbered(15)
    send(log, *sent)
    said = export_command(tmp_path)
    assert exported(tmp_path) == numbered(15)
    assert "counted from 0" not in said + notes(tmp_path)


def test_what_is_logged_meanwhile_goes_on_from_there(tmp_path: Path) -> None:
    log = write(folder_of(tmp_path), 1, 12)
    assert export(tmp_path).complete
    for sent, last in ((1, 17), (6, 19), (11, 23)):
        write(log, sent, last)
        send(log, sent)
        assert export(tmp_path).complete
        assert exported(tmp_path) == numbered(last)
    assert "counted" not in notes(tmp_path)


def test_after_a_gap_counting_goes_on_from_the_last_point(tmp_path: Path) -> None:
    """Nobody knows how many points the client sent and deleted between the two exports."""
    log = write(folder_of(tmp_path), 1, 10)
    assert export(tmp_path).complete
    shutil.rmtree(log)
    write(log, 16, 20)
    for _ in range(2):
        assert export(tmp_path).complete
        expected = [*numbered(10), *((float(step), float(step + 6)) for step in range(10, 15))]
        assert exported(tmp_path) == expected
    assert "counted on from the last one that was exported" in notes(tmp_path)


def test_a_copy_of_the_folder_is_recognised(tmp_path: Path) -> None:
    """Also one under another name, in which less was deleted, and both together."""
    log = write(folder_of(tmp_path / "job"), 1, 15)
    copy = folder_of(tmp_path / "copy", "renamed")
    shutil.copytree(log, copy)
    assert export(tmp_path, tmp_path / "job").complete
    send(log, 1, 6)
    send(copy, 1)
    for paths in (["copy"], ["job"], ["copy", "job"], ["job", "copy"]):
        assert export(tmp_path, *(tmp_path / path for path in paths)).complete
        assert exported(tmp_path) == numbered(15)


def test_a_forked_child_that_wrote_its_buffer_again(tmp_path: Path) -> None:
    log = write(folder_of(tmp_path), 1, 15)
    (log / "data-11.log").write_text("".join(map(point, [11, 12, 13, 11, 12, 13, 14, 15])))
    assert export(tmp_path).complete
    send(log, 1, 6)
    assert export(tmp_path).complete
    assert exported(tmp_path) == numbered(15)


def test_by_force_what_is_left_keeps_its_numbers(tmp_path: Path) -> None:
    log = write(folder_of(tmp_path), 1, 15)
    assert export(tmp_path).complete
    send(log, 1)
    assert export(tmp_path, force=True).complete
    assert exported(tmp_path) == numbered(15)[EACH:], "by force, what is there is replaced"


@pytest.mark.parametrize(
    "first", [AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS})), AttributeSelection("other")]
)
def test_an_export_of_other_attributes_counts_too(tmp_path: Path, first: AttributeSelection) -> None:
    log = write(folder_of(tmp_path), 1, 15)
    added = json.dumps(
        {"obj": {"type": "AssignInt", "path": ["other"], "value": 1}, "version": 16, "at": 1.7e9}
    )
    (log / "data-16.log").write_text(added + "\n")
    (log / "last_put_version").write_text("16")
    assert export(tmp_path, attributes=first).complete
    send(log, 1, 6)
    assert export(tmp_path).complete
    assert exported(tmp_path) == numbered(15)[2 * EACH :]


def test_the_memory_stays_over_an_export_of_parameters(tmp_path: Path) -> None:
    log = write(folder_of(tmp_path), 1, 15)
    assert export(tmp_path).complete
    send(log, 1)
    parameters = AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS}))
    assert export(tmp_path, attributes=parameters, force=True).complete
    send(log, 6)
    assert export(tmp_path).complete
    assert exported(tmp_path) == numbered(15)


def change_memory(work: Path, memory: str) -> None:
    from neptune_exporter.dataset.format.receipts import Receipt

    (path,) = (work / "exports" / "data").rglob("*.receipt.parquet")
    value = json.loads(Receipt.from_bytes(path.read_bytes(), "").to_json())
    changed = Receipt.from_json(json.dumps({**value, "memory": memory}).encode(), "")
    path.write_bytes(changed.to_bytes())


def test_a_damaged_memory_is_a_failure_and_no_silence(tmp_path: Path) -> None:
    log = write(folder_of(tmp_path), 1, 15)
    assert export(tmp_path).complete
    change_memory(tmp_path, "{damaged")
    send(log, 1)
    (failure,) = export(tmp_path).failures
    assert "may be there twice, under different steps" in failure.message


def test_a_damaged_memory_of_a_log_that_is_whole_does_no_harm(tmp_path: Path) -> None:
    log = write(folder_of(tmp_path), 1, 10)
    assert export(tmp_path).complete
    change_memory(tmp_path, "{damaged")
    write(log, 1, 15)
    assert export(tmp_path).complete
    assert exported(tmp_path) == numbered(15)


def test_another_run_of_the_same_id_gets_its_own_numbers(tmp_path: Path) -> None:
    """The folder was replaced by that of another run, which `--offline-run-id` or a copied project may do."""
    log = write(folder_of(tmp_path), 1, 15)
    assert export(tmp_path).complete
    shutil.rmtree(log)
    write(log, 1, 10, lambda n: point(n, at=1.8e9))
    assert export(tmp_path).complete
    assert exported(tmp_path) == sorted([*numbered(15), *numbered(10)]), "counted from 0 in both"
    assert export(tmp_path, force=True).complete
    assert exported(tmp_path) == numbered(10)


def two_processes(work: Path, *, first: int = 5, second: int = 5) -> tuple[Path, Path]:
    """Of one run, the second resumed it after the first had ended."""
    one = write(folder_of(work / "one", "1__aaaaaaaa"), 1, first)
    two = write(
        folder_of(work / "two", "2__bbbbbbbb"), 1, second, lambda n: point(n, value=100 + n, at=1.8e9)
    )
    return one, two


def resumed(step: int, points: int = 5) -> list[tuple[float, float]]:
    return [(float(step + n), 101.0 + n) for n in range(points)]


def test_a_process_before_is_sent_as_a_whole(tmp_path: Path) -> None:
    one, _ = two_processes(tmp_path)
    assert export(tmp_path).complete
    assert exported(tmp_path) == [*numbered(5), *resumed(5)]
    shutil.rmtree(one)
    assert export(tmp_path, tmp_path / "two").complete
    write(folder_of(tmp_path / "two", "2__bbbbbbbb"), 1, 8, lambda n: point(n, value=100 + n, at=1.8e9))
    assert export(tmp_path, tmp_path / "two").complete
    assert exported(tmp_path) == [*numbered(5), *resumed(5, 8)]


def test_a_process_before_comes_in_later(tmp_path: Path) -> None:
    """Points keep the numbers that they have in the dataset, unless all is replaced."""
    two_processes(tmp_path)
    assert export(tmp_path, tmp_path / "two").complete
    assert export(tmp_path, tmp_path / "two", tmp_path / "one").complete
    assert exported(tmp_path) == sorted([*numbered(5), *resumed(0)])
    assert export(tmp_path, tmp_path / "one", tmp_path / "two", force=True).complete
    assert exported(tmp_path) == [*numbered(5), *resumed(5)]
    assert export(tmp_path, tmp_path / "one", tmp_path / "two").complete
    assert exported(tmp_path) == [*numbered(5), *resumed(5)]


def test_series_that_are_cleared_or_deleted_count_from_0_again(tmp_path: Path) -> None:
    def record(n: int) -> str:
        clear = {"type": "ClearFloatLog", "path": ["loss"]}
        delete = {"type": "DeleteAttribute", "path": ["loss"]}
        ends = {8: clear, 13: delete}
        if n in ends:
            return json.dumps({"obj": ends[n], "version": n, "at": 1.7e9 + n}) + "\n"
        return point(n)

    log = write(folder_of(tmp_path), 1, 15, record)
    assert export(tmp_path).complete
    expected = [(0.0, 14.0), (1.0, 15.0)]
    assert exported(tmp_path) == expected
    for sent in (1, 6, 11):
        send(log, sent)
        write(log, 16, 17 + sent, record)
        assert export(tmp_path).complete
        expected = [(float(step), float(step + 14)) for step in range(4 + sent)]
        assert exported(tmp_path) == expected


def test_strings_and_images_keep_their_numbers(tmp_path: Path) -> None:
    def record(n: int) -> str:
        text = {
            "type": "LogStrings",
            "path": ["log"],
            "values": [{"value": f"{n}", "step": None, "ts": 1.7e9 + n}],
        }
        image = {
            "type": "LogImages",
            "path": ["image"],
            "values": [
                {
                    "value": {"data": "aGVsbG8=", "name": f"{n}", "description": None},
                    "step": None,
                    "ts": 1.7e9 + n,
                }
            ],
        }
        return json.dumps({"obj": text if n % 2 else image, "version": n, "at": 1.7e9 + n}) + "\n"

    def rows() -> list[tuple[str, float, str]]:
        (run,) = Dataset(tmp_path / "exports" / "data", tmp_path / "exports" / "files").runs()
        return sorted(
            (row["attribute_path"], float(row["step"]), row["string_value"] or "")
            for batch in run.batches()
            for row in batch.to_pylist()
            if row["step"] is not None
        )

    log = write(folder_of(tmp_path), 1, 20, record)
    assert export(tmp_path).complete
    before = rows()
    assert len(before) == 30
    send(log, 1, 6, 11)
    assert export(tmp_path).complete
    assert rows() == before


def test_a_beginning_that_was_damaged_and_is_there_again(tmp_path: Path) -> None:
    """The points after it keep the numbers of the first export."""
    log = write(folder_of(tmp_path), 1, 10)
    whole = (log / "data-1.log").read_text()
    (log / "data-1.log").write_text("x" * 30 + whole[30:])
    assert not export(tmp_path).complete
    (log / "data-1.log").write_text(whole)
    export(tmp_path)
    assert sorted(value for _, value in exported(tmp_path)) == [float(n) for n in range(1, 11)]
