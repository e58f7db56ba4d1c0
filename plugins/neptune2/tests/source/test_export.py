"""Whole exports: what is read again, what is added, and times in every zone."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import neptune
import pytest

from neptune_exporter.contract import AttributeSelection, RunSelection
from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.planning import Action
from neptune_exporter.model import ALL_CLASSES, AttributeClass, RunKind
from neptune_exporter.testing import difference, facts_of_exported, facts_of_run, sample_runs
from neptune_exporter.testing.commands import clean_environment
from neptune_exporter_neptune2_server import (
    Datetime,
    FakeProject,
    FloatSeries,
    Image,
    ImageSeries,
    Int,
    Neptune2Server,
    StringSeries,
)
from neptune_exporter_neptune2_server.samples import held, projects_of

from .conftest import Exporter, Serve

DAY = datetime(2024, 5, 1, tzinfo=timezone.utc)
PARAMETERS = AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS}))


@pytest.fixture
def project() -> FakeProject:
    project = FakeProject("team", "cats")
    for number in range(3):
        project.add_run({"n": Int(number), "m": FloatSeries([1.0, number]), "s": StringSeries(["a"])})
    return project


def read_paths(server: Neptune2Server) -> int:
    return sum("/attributes" in request.path for request in server.requests)


def test_the_whole_corpus_arrives_exactly(serve: Serve, export: Exporter) -> None:
    samples = [held(sample) for sample in sample_runs()]
    projects = projects_of(samples)
    everything = RunSelection(include_archived=True, kinds=frozenset(RunKind))
    result = export(serve(*projects), [p.qualified_name for p in projects], runs=everything, workers=4)
    assert result.complete, result.failures[:3]
    found = {run.key: run for run in export.dataset.runs()}
    assert found.keys() == {sample.key for sample in samples}
    for sample in samples:
        facts = facts_of_exported(found[sample.key])
        for fact in list(facts):
            if fact.path.endswith("/files_list.json"):
                del facts[fact]
        assert not difference(facts_of_run(sample), facts), sample.key


def test_a_second_export_only_lists(serve: Serve, export: Exporter, project: FakeProject) -> None:
    server = serve(project)
    assert export(server).complete
    server.requests.clear()
    result = export(server)
    assert [(p.exported, p.up_to_date) for p in result.projects] == [(0, 3)]
    assert read_paths(server) == 0


def test_new_and_changed_runs_are_read(serve: Serve, export: Exporter, project: FakeProject) -> None:
    server = serve(project)
    export(server)
    changed = project.find("SAN-2")
    changed["n"] = Int(99)
    changed.touch(DAY)
    project.add_run({"n": Int(4)})
    planned = {p.key.run_id: p.action for p in export(server, dry_run=True).planned}
    assert planned == {
        "SAN-1": Action.UP_TO_DATE,
        "SAN-2": Action.CHANGED,
        "SAN-3": Action.UP_TO_DATE,
        "SAN-4": Action.NEW,
    }
    assert [(p.exported, p.up_to_date) for p in export(server).projects] == [(2, 2)]
    assert export.value("SAN-2", "n", "int_value") == 99
    assert export.value("SAN-4", "n", "int_value") == 4


def test_what_was_left_out_is_added(serve: Serve, export: Exporter, project: FakeProject) -> None:
    server = serve(project)
    export(server, attributes=PARAMETERS)
    assert export.rows("SAN-1", "m") == []
    assert not any("/series/" in r.path for r in server.requests)
    export(server, attributes=AttributeSelection("^m$"))
    assert len(export.rows("SAN-1", "m")) == 2
    assert export.rows("SAN-1", "s") == []
    server.requests.clear()
    assert export(server).complete
    assert len(export.rows("SAN-1", "s")) == 1
    assert sum("/series/" in r.path for r in server.requests) == 3
    assert export(server, force=True).projects[0].exported == 3


def test_classes_and_exclusions(serve: Serve, export: Exporter, project: FakeProject) -> None:
    project.find("SAN-1")["i"] = ImageSeries((Image(b"x", 0.0),))
    server = serve(project)
    without = ALL_CLASSES - {AttributeClass.METRICS, AttributeClass.FILES}
    assert export(server, attributes=AttributeSelection(classes=without)).complete
    types = {row["attribute_type"] for row in export.rows("SAN-1")}
    assert "string_series" in types
    assert not {"float_series", "file_series"} & types


def test_several_attributes_are_exact_names(serve: Serve, export: Exporter, project: FakeProject) -> None:
    project.find("SAN-1")["mm"] = Int(1)
    assert export(serve(project), attributes=AttributeSelection(names=("m", "n"))).complete
    assert {row["attribute_path"] for row in export.rows("SAN-1")} == {"m", "n"}


_EXPORT_IN_A_ZONE = """
import sys, time
from pathlib import Path
from neptune_exporter.contract import (Secret)
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter_neptune2.plugin import neptune_exporter_sources
from neptune_exporter_neptune2.settings import Neptune2Settings

folder, token = Path(sys.argv[1]), Secret(sys.argv[2])
options = ExportOptions(("team/cats",), folder / "data", folder / "files")
(spec,) = neptune_exporter_sources()
assert export_runs(spec, Neptune2Settings(token), options, Progress()).complete
print(time.strftime("%z"))
"""


def test_times_are_exact_in_every_zone(serve: Serve, tmp_path: Path) -> None:
    """Across the hour that Warsaw has twice, and the one that New York lacks; Kathmandu changes no clocks."""
    autumn, spring = 1_698_537_600_000, 1_710_054_000_000  # 2023-10-29 00:00, 2024-03-10 07:00 UTC
    times = [base + n * 1_800_000 + 123 for base in (autumn, spring) for n in range(-4, 5)]
    instants = [datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=t) for t in times]
    project = FakeProject("team", "cats")
    run = project.add_run(
        {
            "m": FloatSeries(range(len(times)), timestamps=times),
            "s": StringSeries([str(t) for t in times], timestamps=times),
            "i": ImageSeries(tuple(Image(b"%d" % t, n, t) for n, t in enumerate(times))),
            **{f"d/{t}": Datetime(instant) for t, instant in zip(times, instants, strict=True)},
        }
    )
    run.touch(instants[2])
    server = serve(project)
    zones = ["Europe/Warsaw", "America/New_York", "Asia/Kathmandu"]
    processes = []
    for zone in zones:
        arguments = [str(tmp_path / zone), server.tokens.api_token]
        environment = {**clean_environment(), **server.environment, "TZ": zone}
        line = [sys.executable, "-c", _EXPORT_IN_A_ZONE, *arguments]
        processes.append(subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True))
    outputs = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(set(outputs)) == 3, f"the zones did not count: {outputs}"
    for zone in zones:
        dataset = Dataset(tmp_path / zone / "data", tmp_path / zone / "files")
        (exported,) = dataset.runs()
        rows = [row for batch in exported.batches() for row in batch.to_pylist()]
        for path in ("m", "s", "i"):
            assert [r["timestamp"] for r in rows if r["attribute_path"] == path] == instants, (zone, path)
        for time, instant in zip(times, instants, strict=True):
            (found,) = [r["datetime_value"] for r in rows if r["attribute_path"] == f"d/{time}"]
            assert found == instant
        receipt = dataset.folder(exported.key).receipt
        assert receipt is not None and receipt.modified_at == instants[2]


def test_registering_imports_no_client() -> None:
    code = (
        "import sys, neptune_exporter_neptune2.plugin as p; p.neptune_exporter_sources(); "
        "heavy = {'neptune', 'requests', 'pyarrow', 'bravado'}; "
        "sys.exit(any(m.split('.')[0] in heavy for m in sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    assert subprocess.run([sys.executable, "-S", "-c", code], env=environment).returncode == 0


def test_addresses_are_those_of_the_client(
    serve: Serve, export: Exporter, project: FakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = project.add_model("PRE")
    project.add_model_version(model)
    server = serve(project)
    everything = RunSelection(kinds=frozenset(RunKind))
    assert export(server, [project.qualified_name], runs=everything).complete
    urls = {run.key.run_id: run.url for run in export.dataset.runs()}
    monkeypatch.setenv("NEPTUNE_API_TOKEN", server.tokens.api_token)
    options: Any = {"project": project.qualified_name, "mode": "read-only"}
    with neptune.init_run(with_id="SAN-1", **options) as opened_run:
        assert urls["SAN-1"] == opened_run.get_url()
    with neptune.init_model("SAN-PRE", **options) as opened_model:
        assert urls["SAN-PRE"] == opened_model.get_url()
    with neptune.init_model_version("SAN-PRE-1", **options) as version:
        assert urls["SAN-PRE-1"] == version.get_url()
