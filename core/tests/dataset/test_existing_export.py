"""Reading what the public neptune-exporter itself wrote."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from neptune_exporter.contract import FileEntry, MissingFileError
from neptune_exporter.dataset import Dataset, summarise
from neptune_exporter.model import FILE_TYPES, AttributeType, RunKey, RunKind

FOLDER = {RunKind.RUN: "", RunKind.MODEL: "models/", RunKind.MODEL_VERSION: "model_versions/"}
NULL_ROWS = {"LEG-1": {"float": 1}, "run-a": {"float": 1}, "run-b": {"float": 1}}
"""`truth.json` counts the rows without a value; we leave them out."""


def truth(existing: Dataset) -> dict[str, dict[str, dict[str, int]]]:
    return json.loads((Path(existing.data_path).parent / "truth.json").read_text())  # type: ignore[no-any-return]


def test_every_run_is_found_with_its_rows(existing: Dataset) -> None:
    expected = {
        (project, run): Counter(types) - Counter(NULL_ROWS.get(run, {}))
        for project, runs in truth(existing).items()
        for run, types in runs.items()
    }
    found = {}
    for run in existing.runs():
        assert run.complete and run.receipt is None and not run.failures
        name = FOLDER[run.key.kind] + run.key.run_id
        found[run.key.project_id, name] = Counter({str(t): c.rows for t, c in run.counts().items()})
        read = Counter(kind for batch in run.batches() for kind in batch.column("attribute_type").to_pylist())
        assert read == found[run.key.project_id, name]
        assert Counter(t.value for row in run.rows() for t in [_type(row)]) == read
    assert found == expected
    assert existing.projects() == ["acme/legacy", "acme/vision"]


def _type(row: object) -> AttributeType:
    names = {"Point": "float_series", "TextLine": "string_series", "Histogram": "histogram_series"}
    return getattr(row, "type", None) or AttributeType(names[type(row).__name__])


def test_fork(existing: Dataset) -> None:
    run = existing.run(RunKey("acme/vision", "run-b"))
    assert run is not None
    assert run.parent() == RunKey("acme/vision", "run-a")
    assert run.fork_step() == 1000


def test_a_run_without_sys_attributes(existing: Dataset) -> None:
    run = existing.run(RunKey("acme/vision", "only-metrics"))
    assert run is not None
    assert run.parent() is None and run.fork_step() is None and run.parameters() == {}


def test_files_open_and_the_missing_one_says_so(existing: Dataset) -> None:
    opened, missing = 0, []
    for run in existing.runs():
        for row in run.rows(FILE_TYPES):
            assert isinstance(row, FileEntry)
            try:
                with run.open_file(row.file) as file:
                    assert file.read()
                    opened += 1
            except MissingFileError as error:
                missing.append(str(error))
    assert opened == 8
    assert len(missing) == 1 and "acme/vision:run-a" in missing[0]


def test_summary(existing: Dataset) -> None:
    summary = summarise(existing)
    assert [project.project_id for project in summary.projects] == ["acme/legacy", "acme/vision"]
    run = next(run for run in summary.projects[1].runs if run.key.run_id == "run-b")
    assert run.state == "complete" and run.steps.maximum == pytest.approx(1024.5)
