"""A run appears as a whole or not at all, whenever the process is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from neptune_exporter.contract import AttributeSelection, SourceRun
from neptune_exporter.dataset import FAILPOINTS, Dataset, RunChecked, WriteBudget, verify
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import attribute_batch

KEY = RunKey("org/project", "RUN-1")

IN_PROCESS = """
import importlib.util, sys
class NoPandas:  # pyarrow would import it, which takes longer than all the rest
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ImportError
sys.meta_path.insert(0, NoPandas())
spec = importlib.util.spec_from_file_location("publication", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.export(module.Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "keep")
"""


def export(folder: Path, value: float, count: int, keep: bool = False) -> None:
    """Export a run of some parameters, each in a part of its own, and a file."""
    dataset = Dataset(folder / "data", folder / "files", budget=WriteBudget(0))
    with dataset.lock():
        dataset.recover()
        writer, files = dataset.writer(KEY), dataset.files()
        for number in reversed(range(count)):
            values = {"float_value": pa.array([value])}
            writer.write(attribute_batch(f"p/{number}", AttributeType.FLOAT, values))
        with files.create(KEY, "f", name=".txt") as file:
            file.write(str(value).encode())
        named = {
            "file_value": pa.array([{"path": file.stored.path}]),
            "file_size": pa.array([file.stored.size]),
            "file_sha256": pa.array([file.stored.sha256]),
        }
        writer.write(attribute_batch("f", AttributeType.FILE, named))
        writer.publish(SourceRun(KEY), "test 1", [AttributeSelection()], keep_others=keep)


def killed_export(failpoint: str, folder: Path, value: float, count: int, keep: bool = False) -> bool:
    """The same in a process that dies at a failpoint, if it comes there."""
    command = [sys.executable, "-c", IN_PROCESS, __file__, str(folder), str(value), str(count)]
    environment = os.environ | {"NEPTUNE_EXPORTER_FAILPOINT": failpoint}
    process = subprocess.run([*command, "keep" if keep else ""], env=environment, timeout=120, check=False)
    assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode != 0


def content(folder: Path) -> dict[str, Any] | None:
    """What a reader sees: values, and the content of the file; None if there is no complete run."""
    run = Dataset(folder / "data", folder / "files").run(KEY)
    if run is None or not run.complete:
        return None
    seen: dict[str, Any] = {path: p.value for path, p in run.parameters().items()}
    for batch in run.batches(columns=["file_value"], attributes=["f"]):
        for cell in batch.column(0).to_pylist():
            assert "f" not in seen, "a row is there twice"
            seen["f"] = run.open_file(cell["path"]).read().decode()
    return seen


def theirs(folder: Path, reader: Any) -> dict[str, float] | None:
    """What a reader sees that goes by part 0 and all parts beside it."""
    for project in reader.project_folders(folder / "data"):
        for prefix in reader.run_prefixes(project):
            rows = reader.read_run(project, prefix)
            values = [(r["attribute_path"], r["float_value"]) for r in rows if r["float_value"] is not None]
            assert len(values) == len(dict(values)), "a row is there twice"
            return dict(values)
    return None


def expected(value: float, count: int) -> dict[str, Any]:
    return {"f": str(value)} | {f"p/{n}": value for n in range(count)}


CASES = [
    # before, after, keep others
    (None, (2.0, 3), False),
    ((1.0, 3), (2.0, 2), False),
    ((1.0, 1), (2.0, 3), False),
    ((1.0, 4), (2.0, 2), True),
]


BEFORE_PENDING = ("dataset.file-written", "dataset.part-written")


@pytest.mark.parametrize("failpoint", [*FAILPOINTS, "dataset.part-written:3", "dataset.part-renamed:2"])
@pytest.mark.parametrize(("before", "after", "keep"), CASES)
def test_killed_anywhere(
    tmp_path: Path,
    their_reader: Any,
    before: tuple[float, int] | None,
    after: tuple[float, int],
    keep: bool,
    failpoint: str,
) -> None:
    if before:
        export(tmp_path, *before)
    old = expected(*before) if before else None
    new = (old or {}) | expected(*after) if keep else expected(*after)
    states = [
        None if seen is None else {k: v for k, v in seen.items() if k != "f"} for seen in (None, old, new)
    ]

    killed = killed_export(failpoint, tmp_path, *after, keep)
    assert killed or failpoint in ("dataset.part-removed", "dataset.part-renamed:2")
    seen = content(tmp_path)
    if failpoint.partition(":")[0] in BEFORE_PENDING:
        assert seen == old
    elif failpoint == "dataset.published" or not killed:
        assert seen == new
    else:
        assert seen is None
    assert theirs(tmp_path, their_reader) in states

    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    with dataset.lock():
        dataset.recover()
    assert content(tmp_path) == (old if failpoint.partition(":")[0] in BEFORE_PENDING else new)
    assert not list(tmp_path.rglob("*.tmp")) and not list(tmp_path.rglob("*.pending.json"))

    export(tmp_path, *after, keep)
    assert content(tmp_path) == new
    assert theirs(tmp_path, their_reader) == states[2]
    assert [f for f in verify(dataset) if not isinstance(f, RunChecked)] == []
    assert len([p for p in (tmp_path / "files").rglob("*") if p.is_file()]) == 1


def test_recover_says_what_it_did(tmp_path: Path) -> None:
    assert killed_export("dataset.pending-written", tmp_path, 1.0, 2)
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    run = dataset.run(KEY)
    assert run is not None and run.key == KEY and not run.complete
    assert dataset.receipt(KEY) is None
    recovery = dataset.recover()
    assert recovery.finished == (KEY,) and recovery.deleted == ()
    assert content(tmp_path) == expected(1.0, 2)

    assert killed_export("dataset.part-written:2", tmp_path, 2.0, 2)
    recovery = dataset.recover()
    assert recovery.finished == () and len(recovery.deleted) == 2
    assert content(tmp_path) == expected(1.0, 2)


def test_a_pending_receipt_whose_parts_are_gone_is_dropped(tmp_path: Path) -> None:
    export(tmp_path, 1.0, 2)
    assert killed_export("dataset.pending-written", tmp_path, 2.0, 2)
    for path in (tmp_path / "data").rglob("*_part_1.parquet.tmp"):
        path.unlink()
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    assert dataset.recover().finished == ()
    assert content(tmp_path) == expected(1.0, 2)


def test_a_writer_finishes_what_was_pending(tmp_path: Path) -> None:
    assert killed_export("dataset.pending-written", tmp_path, 1.0, 3)
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    dataset.writer(KEY).publish(SourceRun(KEY), "test 1", [AttributeSelection()], keep_others=True)
    assert content(tmp_path) == expected(1.0, 3)
