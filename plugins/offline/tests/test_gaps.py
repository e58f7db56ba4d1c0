"""Failures about missing operations end when a later export reads these operations, and not before."""

from __future__ import annotations

import shutil
from pathlib import Path

from neptune_exporter.contract import AttributeSelection
from neptune_exporter.dataset import Dataset
from neptune_exporter.model import AttributeClass

from .test_beginning_sent import export, folder_of, send, write
from .test_command import command
from .test_exported_again import export as export_command
from .test_exported_again import exported, numbered
from .test_repeats import point

PARAMETERS = AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS}))
MISSING = "operations 13 to 15 are not in the log"


def running(work: Path) -> Path:
    """The log of a process that has not written all of its operations yet, after its first export."""
    log = write(folder_of(work), 1, 12)
    (log / "last_put_version").write_text("15")
    (failure,) = export(work).failures
    assert MISSING in failure.message
    return log


def failures(work: Path) -> list[str]:
    """What the receipt says."""
    (run,) = Dataset(work / "exports" / "data", work / "exports" / "files").runs()
    return [failure.message for failure in run.failures]


def test_a_gap_that_is_filled_although_the_client_deleted_what_was_exported(tmp_path: Path) -> None:
    log = running(tmp_path)
    write(log, 1, 15)
    send(log, 1)
    assert export(tmp_path).complete
    assert failures(tmp_path) == []
    assert export(tmp_path).complete
    send(log, 6, 11)
    write(log, 16, 20)
    assert export(tmp_path).complete
    assert exported(tmp_path) == numbered(20)
    assert command("verify", cwd=tmp_path).returncode == 0


def test_operations_that_were_sent_before_any_export_read_them_stay_missing(tmp_path: Path) -> None:
    log = running(tmp_path)
    shutil.rmtree(log)
    write(log, 16, 20)
    for _ in range(2):
        said = export_command(tmp_path, code=3)
        assert MISSING in said
        assert "--force" not in said, "by force, the points before them would go"
    assert len(failures(tmp_path)) == 1
    done = command("verify", cwd=tmp_path)
    assert done.returncode == 3
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("gap")]
    (run,) = Dataset(tmp_path / "exports" / "data", tmp_path / "exports" / "files").runs()
    assert line.startswith(f"gap: {run.key}: could not be exported: run__") and MISSING in line


def test_a_gap_that_is_filled_in_part(tmp_path: Path) -> None:
    log = running(tmp_path)
    write(log, 1, 14)
    send(log, 1)
    (log / "last_put_version").write_text("15")
    export(tmp_path)
    (left,) = failures(tmp_path)
    assert "operation 15 is not in the log" in left
    write(log, 6, 15)
    send(log, 6)
    assert export(tmp_path).complete
    assert exported(tmp_path) == numbered(15)


def test_an_export_of_parameters_fills_no_gap_of_a_series(tmp_path: Path) -> None:
    log = running(tmp_path)
    write(log, 1, 15)
    send(log, 1)
    assert not export(tmp_path, attributes=PARAMETERS).complete, "the points after 12 are not there"
    assert len(failures(tmp_path)) == 1
    assert export(tmp_path).complete
    assert exported(tmp_path) == numbered(15)


def test_another_process_fills_no_gap(tmp_path: Path) -> None:
    running(tmp_path / "one")
    shutil.copytree(tmp_path / "one" / "exports", tmp_path / "exports")
    write(folder_of(tmp_path / "two", "2__bbbbbbbb"), 1, 20, lambda n: point(n, at=1.8e9))
    assert not export(tmp_path, tmp_path / "two").complete
    assert len(failures(tmp_path)) == 1


def test_operations_that_could_not_be_read(tmp_path: Path) -> None:
    log = write(folder_of(tmp_path), 1, 15)
    whole = (log / "data-6.log").read_text()
    (log / "data-6.log").write_text("x" * 30 + whole[30:])
    assert not export(tmp_path).complete
    (log / "data-6.log").write_text(whole)
    send(log, 1)
    assert export(tmp_path).complete
    assert sorted(value for _, value in exported(tmp_path)) == [float(n) for n in range(1, 16)]
