"""The existing export, with all that is in it, in run folders. More data: `every_dataset.py`."""

from __future__ import annotations

from pathlib import Path

from neptune_exporter.jobs.load import LoadResult
from neptune_exporter.testing.journey import check_journey
from neptune_exporter_wandb.plugin import neptune_exporter_sinks
from neptune_exporter_wandb.settings import WandbSettings

EXISTING = Path(__file__).parents[3] / "tests/data/existing-export"
(SPEC,) = neptune_exporter_sinks()


def journey(folder: Path, data: Path, files: Path) -> LoadResult:
    """Load a dataset into the folder, compare it in full, load it again."""

    def contents() -> object:
        found = folder.rglob("*")
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in found if path.is_file()}

    return check_journey(SPEC, WandbSettings("offline", folder), data, files, contents)


def test_the_existing_export(tmp_path: Path) -> None:
    result = journey(tmp_path, EXISTING / "data", EXISTING / "files")
    assert {loss.reason for loss in result.losses} == {"file-missing"}
