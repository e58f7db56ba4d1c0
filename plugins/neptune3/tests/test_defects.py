"""What other exporters of Neptune 3 are known to lose cannot be lost here: one test for each defect."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from neptune_exporter.contract import AttributeSelection, DatasetError, RunDone, RunSelection
from neptune_exporter.dataset import StoredRun
from neptune_exporter.model import AttributeClass
from neptune_exporter.testing.loopback import Fault
from neptune_exporter_neptune3 import source as source_module
from neptune_exporter_neptune3_server import (
    FLOATS_PATH,
    SEARCH_PATH,
    SERIES_PATH,
    STORAGE_PATH,
    VALUES_PATH,
    FakeFile,
    FakeProject,
    FakeRun,
    FileSeries,
    FloatSeries,
    Histogram,
    HistogramSeries,
    StringSeries,
    Value,
)

from .conftest import PROJECT, Exporting

Exports = Callable[..., Exporting]
PARAMETERS = AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS}))


def count(export: Exporting, path: str) -> int:
    return sum(each.path == path for each in export.server.requests)


def test_1_an_interrupted_run_is_not_there_and_a_failed_one_is_asked_again(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes: dict[str, Value | None] = {
        "m": FloatSeries(range(5000), range(5000)),
        "s": StringSeries([0], ["x"]),
    }
    export = exporting(FakeProject(PROJECT, [FakeRun(f"r{n}", dict(attributes)) for n in range(5)]))
    read = source_module.Neptune3Source.read

    def interrupted(self, group, files):  # type: ignore[no-untyped-def]
        for event in read(self, group, files):
            if isinstance(event, RunDone) and event.run.run_id == "r3":
                raise KeyboardInterrupt
            yield event

    with monkeypatch.context() as patch:
        patch.setattr(source_module.Neptune3Source, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export(workers=1)
    assert {run.key.run_id for run in export.dataset.runs(PROJECT)} == {"r0", "r1", "r2"}
    export.server.fail(Fault(path=f"^{SERIES_PATH}$", status=400))
    export.server.fail(Fault(path=f"^{SERIES_PATH}$", status=400))
    failed = export(workers=1)
    assert not failed.complete
    assert {run.key.run_id for run in export.dataset.runs(PROJECT)} == {f"r{n}" for n in range(5)}
    (failure,) = failed.failures
    assert failure.attribute_path == "s"
    assert export.values(failure.run.run_id, "s", "string_value") == []
    before = count(export, FLOATS_PATH)
    assert export().complete
    assert export.values(failure.run.run_id, "s", "string_value") == ["x"]
    assert count(export, FLOATS_PATH) == before, "metrics that were there were read again"


def test_2_what_an_earlier_export_left_out_is_added(exporting: Exports) -> None:
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"lr": 0.5, "m": FloatSeries([0], [1])})]))
    export(attributes=PARAMETERS)
    assert export.values("r", "m", "float_value") == []
    export(attributes=AttributeSelection("^m$"))
    assert export.values("r", "m", "float_value") == [1.0]
    assert export.values("r", "lr", "float_value") == [0.5]
    export()
    export.server.requests.clear()
    assert export().rows == 0
    assert {each.path for each in export.server.requests} & {VALUES_PATH, FLOATS_PATH} == set()


def test_3_large_and_fine_steps(exporting: Exports) -> None:
    steps = [1e-7, 2e-7, 0.1, 1.0, 1e12, 1_704_067_200_000.0, 1_704_067_200_001.0]
    other = FloatSeries([0], [7])
    attributes: dict[str, Value | None] = {"m": FloatSeries(steps, range(7)), "other": other}
    export = exporting(FakeProject(PROJECT, [FakeRun("r", attributes), FakeRun("r2", {"other": other})]))
    assert export().complete
    rows = [row for row in export.rows("r") if row["attribute_path"] == "m"]
    assert [row["float_value"] for row in rows] == [0, 1, 2, 3, 4, 5, 6]
    assert [row.get("step_float64", float(row.get("step", math.nan))) for row in rows] == steps
    assert rows[2]["step"] == Decimal("0.1")
    assert export.values("r2", "other", "float_value") == [7.0]


def test_4_integers_nan_and_nothing_for_what_is_not_there(exporting: Exports) -> None:
    numbers = [2**53 + 1, 2**63 - 1, -(2**63)]
    runs = [FakeRun(f"r{n}", {"n": number}) for n, number in enumerate(numbers)]
    series = FloatSeries([0, 1, 2, 3], [math.nan, math.inf, -math.inf, 0.0])
    export = exporting(FakeProject(PROJECT, [*runs, FakeRun("without", {"m": series})]))
    assert export().complete
    assert [export.values(f"r{n}", "n", "int_value") for n in range(3)] == [[n] for n in numbers]
    assert [row for row in export.rows("without") if row["attribute_path"] == "n"] == []
    values = export.values("without", "m", "float_value")
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf, 0.0]
    assert all(len(row) > 4 for n in range(3) for row in export.rows(f"r{n}"))  # each has a value


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_5_times_are_instants_and_files_have_their_steps(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    times = [1_698_539_400_000, 1_698_543_000_000]  # an hour apart, the same on clocks set back in between
    files = FileSeries([0.5, 7], [FakeFile(b"a"), FakeFile(b"b")], times)
    created = datetime(2023, 10, 29, 1, 30, tzinfo=timezone.utc)
    attributes: dict[str, Value | None] = {"m": FloatSeries([0, 1], [1, 2], times), "f": files, "at": created}
    export = exporting(FakeProject(PROJECT, [FakeRun("r", attributes)]))
    assert export().complete
    instants = [datetime.fromtimestamp(t / 1000, timezone.utc) for t in times]
    for path in ("m", "f"):
        assert export.values("r", path, "timestamp") == instants
    assert export.values("r", "f", "step") == [Decimal("0.5"), Decimal(7)]
    assert export.values("r", "at", "datetime_value") == [created]


def test_6_no_two_files_share_a_place_and_none_leaves_the_folder(exporting: Exports) -> None:
    names = ["../x", "../../x", "/x", "x", "ckpt.v1", "ckpt_v1", "b/c", "c"]
    runs = [
        FakeRun(run, {name: FakeFile(f"{run} {name}".encode()) for name in names})
        for run in ("exp 1", "exp_1", "a/b", "a")
    ]
    steps = FileSeries([0, 0.2, 0.4, 0.4, 1], [FakeFile(b"%d" % n) for n in range(5)])
    runs.append(FakeRun("series", {"f": steps}))
    export = exporting(FakeProject(PROJECT, runs))
    assert export().complete
    folder = (export.folder / "files").resolve()
    outside = [p for p in export.folder.rglob("*") if p.is_file() and folder not in p.resolve().parents]
    assert all((export.folder / "data").resolve() in p.resolve().parents for p in outside)
    found = {}
    for run in export.dataset.runs(PROJECT):
        for batch in run.batches():
            for row in batch.to_pylist():
                if row["file_value"] is not None and row["attribute_path"] in names:
                    with run.open_file(row["file_value"]["path"]) as stream:
                        found[run.key.run_id, row["attribute_path"]] = stream.read().decode()
    assert found == {
        (run.custom_run_id, name): f"{run.custom_run_id} {name}" for run in runs[:4] for name in names
    }
    paths = [value["path"] for value in export.values("series", "f", "file_value")]
    assert len(set(paths)) == 5


def test_7_one_name_of_two_types_and_much_text(exporting: Exports) -> None:
    histogram = HistogramSeries([0], [Histogram([0, 1], [2])])
    runs = [
        FakeRun("text", {"x": StringSeries([0], ["line"])}),
        FakeRun("histogram", {"x": histogram}),
        FakeRun("number", {"x": 1.5}),
        FakeRun("metric", {"x": FloatSeries([0], [1])}),
        FakeRun("long", {"x": StringSeries(range(300), ["é" * 100_000] * 300)}),
    ]
    export = exporting(FakeProject(PROJECT, runs))
    assert export().complete
    assert export.values("text", "x", "string_value") == ["line"]
    assert export.values("histogram", "x", "histogram_value") == [
        {"type": "COUNTING", "edges": [0.0, 1.0], "values": [2.0]}
    ]
    assert export.values("number", "x", "float_value") == [1.5]
    assert export.values("metric", "x", "float_value") == [1.0]
    assert [len(text) for text in export.values("long", "x", "string_value")] == [100_000] * 300


def test_8_a_run_is_published_when_it_is_read_not_at_the_end(
    exporting: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs of much content are done one after the other; batches hold no more than an answer."""
    big: dict[str, Value | None] = {f"m{n}": FloatSeries(range(200_000), range(200_000)) for n in range(3)}
    export = exporting(FakeProject(PROJECT, [FakeRun(f"r{n}", dict(big)) for n in range(3)]))
    read = source_module.Neptune3Source.read
    published: list[int] = []
    largest: list[int] = []

    def visible() -> list[StoredRun]:
        return [run for run in export.dataset.runs(PROJECT) if run.complete]

    def watching(self, group, files):  # type: ignore[no-untyped-def]
        for event in read(self, group, files):
            if isinstance(event, RunDone):
                # A run is written while the next is read: it appears without this reader going on.
                patience = time.monotonic() + 60
                while len(visible()) < len(published) and time.monotonic() < patience:
                    time.sleep(0.01)
                published.append(len(visible()))
            elif hasattr(event, "batch"):
                largest.append(event.batch.num_rows)
            yield event

    monkeypatch.setattr(source_module.Neptune3Source, "read", watching)
    assert export(workers=1).complete
    assert published == [0, 1, 2]
    assert max(largest) <= 250_000


def test_9_a_project_that_fails_ends_nothing_else_and_errors_say_what(exporting: Exports) -> None:
    runs = [FakeRun("r", {"m": FloatSeries([0], [1]), "s": StringSeries([0], ["x"]), "n": 3})]
    export = exporting(FakeProject(PROJECT, runs), FakeProject("acme/closed", [], accessible=False))
    export.server.fail(Fault(path=f"^{FLOATS_PATH}$", status=500, times=1000))
    result = export("acme/closed", "acme/none", PROJECT, settings={"retry_seconds": 0})
    errors = {project.project_id: project.error for project in result.projects}
    assert set(errors.values()) == {None}
    for name, line in zip(("acme/closed", "acme/none"), result.not_found, strict=True):
        assert f"there is no project {name}" in line
    (failure,) = result.failures  # one line for the one attribute, with a reason
    assert (failure.run.run_id, failure.attribute_path) == ("r", "m")
    assert "500" in failure.message
    assert export.values("r", "s", "string_value") == ["x"]
    assert export.values("r", "n", "int_value") == [3]


def test_10_whole_ids_times_updates_a_dry_run_and_a_lock(exporting: Exports) -> None:
    day = datetime(2024, 5, 1, tzinfo=timezone.utc)
    runs = [
        FakeRun(f"RUN-{n}", {"n": n}, created=day, modified=day + timedelta(days=n)) for n in (1, 2, 10, 100)
    ]
    project = FakeProject(PROJECT, runs)
    export = exporting(project)

    def exported() -> set[str]:
        return {run.key.run_id for run in export.dataset.runs(PROJECT)}

    planned = export(dry_run=True).planned
    assert len(planned) == 4
    assert not (export.folder / "data").exists()
    export(runs=RunSelection(patterns=("RUN-1",)))
    assert exported() == {"RUN-1"}
    export(runs=RunSelection(ids=frozenset({"RUN-2", "RUN-3"})))
    assert exported() == {"RUN-1", "RUN-2"}
    export(
        runs=RunSelection(modified_since=day + timedelta(days=3), modified_until=day + timedelta(days=100))
    )
    assert exported() == {"RUN-1", "RUN-2", "RUN-10"}
    assert export().projects[0].exported == 1
    project.runs[0] = replace(runs[0], attributes={"n": 5}, modified=day + timedelta(days=200))
    again = export().projects[0]
    assert (again.exported, again.up_to_date) == (1, 3)
    assert export.values("RUN-1", "n", "int_value") == [5]
    assert export(force=True).projects[0].exported == 4
    with export.dataset.lock(), pytest.raises(DatasetError, match="is being written by process"):
        export()


def test_a_failing_download_is_tried_again(exporting: Exports) -> None:
    """Downloads too are repeated, resumed and counted."""
    content = bytes(range(256)) * 4096
    export = exporting(FakeProject(PROJECT, [FakeRun("r", {"f": FakeFile(content)})]))
    for cut in (100_000, 300_000):
        export.server.fail(Fault(path=STORAGE_PATH, cut_after=cut))
    assert export().complete
    (run,) = export.dataset.runs(PROJECT)
    (file,) = export.values("r", "f", "file_value")
    with run.open_file(file["path"]) as stream:
        assert stream.read() == content
    assert count(export, SEARCH_PATH) == 1
