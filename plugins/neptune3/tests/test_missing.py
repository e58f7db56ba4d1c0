"""What the server lists, counts or tells and then does not give is never taken for nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from neptune_exporter.contract import AttributeSelection
from neptune_exporter.model import AttributeClass
from neptune_exporter_neptune3 import listing
from neptune_exporter_neptune3.testing import (
    VALUES_PATH,
    FakeProject,
    FakeRun,
    FloatSeries,
)

from .conftest import PROJECT, Exporting

Exports = Callable[..., Exporting]
LATER = datetime(2025, 1, 1, tzinfo=timezone.utc)


def exported(export: Exporting) -> set[str]:
    return {run.key.run_id for run in export.dataset.runs(PROJECT)}


def test_a_run_that_is_deleted_after_it_was_listed_keeps_what_an_earlier_export_has(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [FakeRun(run, {"lr": 0.1, "m": FloatSeries([0, 1], [1, 2])}) for run in ("a", "gone", "z")]
    project = FakeProject(PROJECT, runs)
    export = exporting(project)
    assert export().complete
    before = export.rows("gone")
    for run in runs:
        run.modified = LATER
    read = listing.runs

    def deleting(*args):  # type: ignore[no-untyped-def]
        yield from list(read(*args))
        runs[1].sys_id = "elsewhere"

    monkeypatch.setattr(listing, "runs", deleting)
    result = export()
    assert (result.projects[0].exported, result.projects[0].failed_runs) == (2, 1)
    (failure,) = result.failures
    assert (failure.run.run_id, failure.attribute_path) == ("gone", "")
    assert "does not know it any more" in failure.message
    assert export.rows("gone") == before


@pytest.mark.parametrize(
    "attributes",
    [
        AttributeSelection(names=("nothing",)),
        AttributeSelection(classes=frozenset({AttributeClass.FILES})),
        AttributeSelection("^nothing$"),
    ],
    ids=["names", "classes", "pattern"],
)
def test_a_run_of_which_nothing_is_asked_for_is_not_taken_for_deleted(
    exporting: Exports, attributes: AttributeSelection
) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"lr": 0.1})]))
    result = export(attributes=attributes)
    assert (result.complete, result.rows, result.projects[0].exported) == (True, 0, 1)
    assert sum(each.path == VALUES_PATH for each in export.server.requests) == 1
