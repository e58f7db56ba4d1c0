"""A run appears as a whole or not at all, whenever the process is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import SourceRun
from neptune_exporter.dataset import Dataset, RunChecked, RunState, Stays, verify
from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.testing.commands import failpoints

from .exporting import ALL, KEY, export, killed


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


BEFORE_PENDING = ("dataset.file-written", "dataset.rows-written", "dataset.part-written")


@pytest.mark.parametrize(
    "failpoint", [*failpoints("dataset."), "dataset.part-written:3", "dataset.part-renamed:2"]
)
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

    died = killed(failpoint, "export", tmp_path, *after, keep)
    assert died or failpoint in ("dataset.part-removed", "dataset.part-renamed:2")
    seen = content(tmp_path)
    if failpoint.partition(":")[0] in BEFORE_PENDING:
        assert seen == old
    elif failpoint == "dataset.published" or not died:
        assert seen == new
    else:
        assert seen is None
    assert theirs(tmp_path, their_reader) in states

    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    with dataset.lock():
        dataset.recover()
    assert content(tmp_path) == (old if failpoint.partition(":")[0] in BEFORE_PENDING else new)
    assert not list(tmp_path.rglob("*.tmp")) and not list(tmp_path.rglob("*.pending.parquet"))

    export(tmp_path, *after, keep)
    assert content(tmp_path) == new
    assert theirs(tmp_path, their_reader) == states[2]
    assert [f for f in verify(dataset) if not isinstance(f, RunChecked)] == []
    project = Place.of(KEY).project_folder
    assert len([p for p in (tmp_path / "files" / project).rglob("*") if p.is_file()]) == 1
    assert list((tmp_path / "files" / ".neptune-exporter" / "unfinished-files").iterdir()) == []


def test_recover_says_what_it_did(tmp_path: Path) -> None:
    assert killed("dataset.pending-written", "export", tmp_path, 1.0, 2)
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    run = dataset.run(KEY)
    assert run is not None and run.key == KEY and not run.complete
    assert dataset.folder(KEY).state is RunState.INTERRUPTED
    recovery = dataset.recover()
    assert recovery.finished == (KEY,) and recovery.deleted == ()
    assert content(tmp_path) == expected(1.0, 2)

    assert killed("dataset.part-written:2", "export", tmp_path, 2.0, 2)
    recovery = dataset.recover()
    assert recovery.finished == () and len(recovery.deleted) == 2
    assert content(tmp_path) == expected(1.0, 2)


def test_a_pending_receipt_whose_parts_are_gone_is_dropped(tmp_path: Path) -> None:
    export(tmp_path, 1.0, 2)
    assert killed("dataset.pending-written", "export", tmp_path, 2.0, 2)
    for path in (tmp_path / "data").rglob("*_part_1.parquet.tmp"):
        path.unlink()
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    assert dataset.recover().finished == ()
    assert content(tmp_path) == expected(1.0, 2)


def test_a_writer_finishes_what_was_pending(tmp_path: Path) -> None:
    assert killed("dataset.pending-written", "export", tmp_path, 1.0, 3)
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    dataset.writer(KEY).publish(SourceRun(KEY), "test 1", ALL, stays=Stays.NOT_DELIVERED)
    assert content(tmp_path) == expected(1.0, 3)
