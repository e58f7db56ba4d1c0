"""The existing export, with all that is in it, in run folders."""

from __future__ import annotations

from pathlib import Path

from neptune_exporter.testing.journey import check_journey
from neptune_exporter_wandb.plugin import neptune_exporter_sinks
from neptune_exporter_wandb.settings import WandbSettings

EXISTING = Path(__file__).parents[3] / "tests/data/existing-export"
(SPEC,) = neptune_exporter_sinks()


def test_the_existing_export(tmp_path: Path) -> None:
    def contents() -> object:
        found = tmp_path.rglob("*")
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in found if path.is_file()}

    settings = WandbSettings("offline", tmp_path)
    result = check_journey(SPEC, settings, EXISTING / "data", EXISTING / "files", contents)
    assert {loss.reason for loss in result.losses} == {"file-missing"}
