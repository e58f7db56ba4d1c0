"""What `load` and `verify` say about losses can be followed, also where Neptune no longer runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType

from click.testing import Result

from neptune_exporter.model import RunKey

Run = Callable[..., Result]
EXPORT = ("export", "--exporter", "tracker")


def test_a_damaged_run_that_is_not_loaded(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    (part,) = Path("exports/data").rglob("RUN-1-*_part_0.parquet")
    part.unlink()
    told = run("load", "--loader", "tracker").stdout
    assert f"it is damaged: {part} is missing: export the run again with --force if its server still" in told
    assert "or restore from a copy; see `neptune-exporter verify`" in told


def test_record_finishes_a_publication_without_any_source(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    (receipt,) = Path("exports/data").rglob("RUN-1-*.receipt.parquet")
    receipt.rename(receipt.with_name(receipt.name.replace(".receipt.", ".pending.")))
    before = run("verify")
    assert before.exit_code == 4
    assert "the next export or `verify --record` finishes it" in before.stdout
    assert "the next export or `verify --record` finishes it" in run("load", "--loader", "tracker").stdout
    assert run("verify", "--record").exit_code == 0
    assert receipt.exists() and run("load", "--loader", "tracker").exit_code == 0


def test_what_only_a_wider_export_can_end_says_so(run: Run, tracker: ModuleType) -> None:
    """A failure of a whole run may be of anything that was asked for, so `-c` alone cannot end it."""
    key = RunKey("acme/vision", "RUN-1")
    tracker.source.fail_attribute(key, "", times=1)
    tracker.source.touch(key, datetime(2024, 5, 1, tzinfo=timezone.utc))
    assert run(*EXPORT, "-r", key.run_id).exit_code == 3
    narrower = run(*EXPORT, "-r", key.run_id, "-c", "parameters")
    assert narrower.exit_code == 3
    assert narrower.stdout.splitlines()[-3:] == [
        "Still missing (an earlier export could not read it):",
        f"  {key}: the run: HTTP 500",
        "To read it, export all that was asked for then (-c, --exclude, -a).",
    ]
    assert run(*EXPORT, "-r", key.run_id).exit_code == 0
    assert run(*EXPORT, "-r", key.run_id, "-c", "parameters").exit_code == 0
