"""A long run whose rows are written while more come: killed anywhere, it is the old one or the new one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.compute as pc
import pytest

from neptune_exporter.dataset import Dataset, RunChecked, verify
from neptune_exporter.testing.commands import failpoints

from .exporting import KEY, LENGTH, STREAMED, export_long, killed, long_series

PATHS = {"a", *(f"m/{n}" for n in range(STREAMED))}


def sums(folder: Path) -> dict[str, tuple[int, float]] | None:
    """Rows and sum of each series; None if there is no complete run."""
    run = Dataset(folder / "data", folder / "files").run(KEY)
    if run is None or not run.complete:
        return None
    found: dict[str, tuple[int, float]] = {}
    for batch in run.batches(columns=["attribute_path", "float_value"]):
        for path in pc.unique(batch.column(0)).to_pylist():
            values = batch.column(1).filter(pc.equal(batch.column(0), path))
            count, total = found.get(path, (0, 0.0))
            found[path] = (count + len(values), total + pc.sum(values).as_py())
    return {path: (count, round(total, 6)) for path, (count, total) in found.items()}


def expected(seed: int) -> dict[str, tuple[int, float]]:
    total = pc.sum(long_series("a", seed).column("float_value")).as_py()
    return dict.fromkeys(PATHS, (LENGTH, round(total, 6)))


POINTS = {
    "dataset.rows-written": (1, 2, 3),
    "dataset.part-written": (1, 2),
    "dataset.pending-written": (1,),
    "dataset.part-renamed": (1,),
    "dataset.parts-named": (1,),
    "dataset.before-receipt": (1,),
    "dataset.published": (1,),
}
"""Passed by such a run, and how often: it holds no file, and as many parts as before."""


def test_no_point_is_forgotten() -> None:
    assert set(failpoints("dataset.")) - POINTS.keys() == {"dataset.file-written", "dataset.part-removed"}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("before")
    export_long(folder, 1)
    assert sums(folder) == expected(1)
    return folder


@pytest.mark.parametrize(("point", "hit"), [(point, hit) for point, hits in POINTS.items() for hit in hits])
def test_killed_while_rows_come(tmp_path: Path, before: Path, point: str, hit: int) -> None:
    shutil.copytree(before, tmp_path, dirs_exist_ok=True)
    old, new = expected(1), expected(2)
    assert killed(f"{point}:{hit}", "export_long", tmp_path, 2)
    assert sums(tmp_path) in (None, old, new)
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    with dataset.lock():
        dataset.recover()
    is_pending = point not in ("dataset.rows-written", "dataset.part-written")
    assert sums(tmp_path) == (new if is_pending else old)
    assert not [p for p in tmp_path.rglob("*") if p.name.endswith((".tmp", ".pending.parquet"))]
    export_long(tmp_path, 2)
    assert sums(tmp_path) == new
    assert [f for f in verify(dataset) if not isinstance(f, RunChecked)] == []
