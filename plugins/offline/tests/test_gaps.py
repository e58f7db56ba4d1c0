"""Failures about missing operations end when a later export reads these operations, and not before."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest

from neptune_exporter.contract import AttributeSelection
from neptune_exporter.dataset import Dataset, advice
from neptune_exporter.model import AttributeClass
from neptune_exporter_offline import gaps
from neptune_exporter_offline.gaps import MOST_GAPS, Gap, Gaps
from neptune_exporter_offline.problems import Problems
from neptune_exporter_offline.union import covered

from .folders import Logging, change, database_of, work_of
from .test_beginning_sent import export, folder_of, send, write
from .test_command import command
from .test_exported_again import export as export_command
from .test_exported_again import exported, numbered
from .test_repeats import UUID, point

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
    (run,) = Dataset(tmp_path / "exports" / "data", tmp_path / "exports" / "files").runs()
    assert advice(run).endswith("export the run again from its .neptune folder")
    (log / "data-6.log").write_text(whole)
    send(log, 1)
    assert export(tmp_path).complete
    assert sorted(value for _, value in exported(tmp_path)) == [float(n) for n in range(1, 16)]


def test_a_database_that_could_not_be_read_to_its_end(scale: Logging, tmp_path: Path) -> None:
    with scale() as run:
        for n in range(10):
            run.log_metrics({"m": float(n)}, step=n)
    database, whole = database_of(tmp_path), tmp_path / "whole"
    shutil.copyfile(database, whole)
    undecodable = "UPDATE run_operations SET operation = CAST(X'ff' AS TEXT) WHERE sequence_id = 5"
    change(database, (undecodable,))
    (failure,) = export(tmp_path, work_of(tmp_path)).failures
    assert "operations 5 to 11 can no longer be read" in failure.message
    shutil.copyfile(whole, database)
    change(database, ("DELETE FROM run_operations WHERE sequence_id < 4",))
    assert export(tmp_path, work_of(tmp_path)).complete
    assert failures(tmp_path) == []
    assert exported(tmp_path, "m") == [(float(n), float(n)) for n in range(10)]


@pytest.mark.parametrize("until", [2, None])
def test_a_database_with_a_damaged_tree(scale: Logging, tmp_path: Path, until: int | None) -> None:
    """Whether the pages that say how many operations there are can still be read, or not."""
    with scale() as run:
        for n in range(300):
            run.log_metrics({"m": float(n)}, step=n)
    database = database_of(tmp_path)
    whole = database.read_bytes()
    damaged = bytearray(whole)
    for at in leaves_of(database, "idx_run_operations_sequence_size"):
        damaged[at] = 0
    database.write_bytes(damaged)
    assert export(tmp_path / "index", work_of(tmp_path)).failures == [], "the table is whole"
    assert len(exported(tmp_path / "index", "m")) == 300
    for at in leaves_of(database, "run_operations")[1:until]:
        damaged[at] = 0
    database.write_bytes(damaged)
    (failure,) = export(tmp_path, work_of(tmp_path)).failures
    assert "the database is damaged after operation " in failure.message
    assert export(tmp_path, work_of(tmp_path)).missing == [failure]
    database.write_bytes(whole)
    change(database, ("DELETE FROM run_operations WHERE sequence_id < 4",))
    assert export(tmp_path, work_of(tmp_path)).complete
    assert failures(tmp_path) == []
    assert exported(tmp_path, "m") == [(float(n), float(n)) for n in range(300)]


def leaves_of(database: Path, name: str) -> list[int]:
    """Where the leaf pages of a table or index begin (section 1.6 of SQLite's file format)."""
    with sqlite3.connect(database) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (root,) = connection.execute(query, (name,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    page = database.read_bytes()[(root - 1) * size : root * size]
    if page[0] not in (2, 5):  # no interior page
        return [(root - 1) * size]
    cells = struct.unpack_from(f">{int.from_bytes(page[3:5], 'big')}H", page, 12)
    numbers = [
        *(struct.unpack_from(">I", page, cell)[0] for cell in cells),
        *struct.unpack_from(">I", page, 8),
    ]
    return [(number - 1) * size for number in numbers]


def test_equal_gaps_of_two_processes_whose_folders_have_one_name(tmp_path: Path) -> None:
    for last in (12, 15):
        for place, at in (("a", 1.7e9), ("b", 1.8e9)):
            log = write(tmp_path / place / "renamed", 1, last, partial(point, at=at))
            (log / "metadata.json").write_text(json.dumps({"containerId": UUID}))
            (log / "last_put_version").write_text("15")
            if last == 15:
                send(log, 1)
        assert export(tmp_path).complete == (last == 15)
    assert failures(tmp_path) == []


def test_only_some_of_many_gaps_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    names = frozenset({"a log"})
    found = [Gap(names, n, n, f"operation {n}", True) for n in range(1000, 1000 + 2 * MOST_GAPS)]
    first = Gaps()
    for gap in found:
        first.add(gap)
    memory = json.dumps({"gaps": first.remembered()})
    assert len(memory) < 100_000
    later = Gaps(memory)
    later.read(names, [(1, 9999)], 1)
    union = Mock(wraps=covered)
    monkeypatch.setattr(gaps, "covered", union)
    assert later.settle(Problems()) == tuple(gap.message for gap in found[MOST_GAPS:])
    assert union.call_count == 1, "one for the process, not one for each gap"


def test_failures_of_forgotten_gaps_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "MOST_GAPS", 2)
    log = write(folder_of(tmp_path), 1, 5)
    (log / "data-6.log").write_text("".join(point(n) for n in range(6, 15, 2)))
    (log / "last_put_version").write_text("14")
    export(tmp_path)
    send(log, 1)
    assert export(tmp_path).projects[0].exported == 1
    assert len(failures(tmp_path)) == 4
