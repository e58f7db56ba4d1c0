"""Which projects, runs, models and versions there are, and which of them are taken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from neptune_exporter.contract import RunSelection, Source, SourceError
from neptune_exporter.model import RunKind
from neptune_exporter_neptune2_server import FakeProject, Fault, Float, Int, Neptune2Server, String

from .conftest import Exporter, Serve

Connect = Callable[..., Source]
DAY = datetime(2024, 5, 1, tzinfo=timezone.utc)
MODELS = frozenset({RunKind.MODEL, RunKind.MODEL_VERSION})


@pytest.fixture
def project() -> FakeProject:
    return FakeProject("team", "cats")


def ids(source: Source, selection: RunSelection | None = None, project_id: str = "team/cats") -> list[str]:
    return [run.key.run_id for run in source.runs(project_id, selection or RunSelection())]


def searches(server: Neptune2Server) -> int:
    return sum(r.path.endswith("/entries/search") for r in server.requests)


def test_more_runs_than_a_server_gives_of_one_search(
    serve: Serve, connect: Connect, project: FakeProject
) -> None:
    for _ in range(10_050):
        project.add_run()
    server = serve(project)
    found = ids(connect(server))
    assert len(found) == len(set(found)) == 10_050
    assert found == sorted(found)
    assert searches(server) == 11


def test_exactly_as_many_runs_as_fit(serve: Serve, connect: Connect, project: FakeProject) -> None:
    for _ in range(2000):
        project.add_run()
    server = serve(project)
    assert len(ids(connect(server))) == 2000
    assert searches(server) == 3  # the last one is empty: the end


def test_a_listing_that_lacks_runs_is_an_error_after_all_that_there_are(
    serve: Serve, connect: Connect, project: FakeProject
) -> None:
    project.add_run()
    lost = project.add_run()
    del lost.attributes["sys/id"]
    runs = connect(serve(project)).runs("team/cats", RunSelection())
    assert next(runs).key.run_id == "SAN-1"
    with pytest.raises(SourceError, match="counts 2 runs and listed 1"):
        next(runs)


def test_listing_is_lazy(serve: Serve, connect: Connect, project: FakeProject) -> None:
    for _ in range(1500):
        project.add_run()
    server = serve(project)
    next(iter(connect(server).runs("team/cats", RunSelection())))
    assert searches(server) == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("lr:float > 0.15", ["SAN-2", "SAN-3"]),
        ("lr:float > 0.15 AND name:string = 'b'", ["SAN-2"]),
        ("name:string = 'a' OR name:string = 'c'", ["SAN-1", "SAN-3"]),
        ("   ", ["SAN-1", "SAN-2", "SAN-3"]),
    ],
)
def test_queries(
    serve: Serve, connect: Connect, project: FakeProject, query: str, expected: list[str]
) -> None:
    for number, name in enumerate("abc", 1):
        project.add_run({"lr": Float(number / 10), "name": String(name)})
    assert ids(connect(serve(project)), RunSelection(query=query)) == expected


def test_a_query_with_or_keeps_its_meaning_beyond_the_first_window(
    serve: Serve, connect: Connect, project: FakeProject
) -> None:
    for number in range(10_010):
        project.add_run({"n": Int(number % 2)})
    found = ids(connect(serve(project)), RunSelection(query="n:int = 0 OR n:int = 1"))
    assert len(found) == len(set(found)) == 10_010


def test_a_wrong_query_is_one_clear_line(serve: Serve, connect: Connect, project: FakeProject) -> None:
    with pytest.raises(SourceError, match=r"project team/cats: .*HTTP 400.*is the query right\? \(lr >> 1\)"):
        ids(connect(serve(project)), RunSelection(query="lr >> 1"))


def test_archived_runs_only_if_asked_for(serve: Serve, connect: Connect, project: FakeProject) -> None:
    project.add_run()
    project.add_run(trashed=True)
    source = connect(serve(project))
    assert ids(source) == ["SAN-1"]
    assert ids(source, RunSelection(include_archived=True)) == ["SAN-1", "SAN-2"]


def test_ids_are_whole(serve: Serve, connect: Connect, project: FakeProject) -> None:
    for _ in range(12):
        project.add_run()
    source = connect(serve(project))
    assert ids(source, RunSelection(patterns=("SAN-1",))) == ["SAN-1"]
    assert ids(source, RunSelection(patterns=("SAN-1.",), ids=frozenset({"SAN-3"}))) == [
        "SAN-10",
        "SAN-11",
        "SAN-12",
        "SAN-3",
    ]


def test_modification_times(serve: Serve, connect: Connect, project: FakeProject) -> None:
    for days in range(4):
        project.add_run().touch(DAY + timedelta(days=days, milliseconds=1))
    source = connect(serve(project))
    selection = RunSelection(modified_since=DAY + timedelta(days=1), modified_until=DAY + timedelta(days=3))
    assert ids(source, selection) == ["SAN-2", "SAN-3"]
    assert next(iter(source.runs("team/cats", selection))).modified_at == DAY + timedelta(
        days=1, milliseconds=1
    )


def test_projects_are_found_page_by_page(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neptune_exporter_neptune2.listing._PAGE", 2)
    projects = [FakeProject("team", f"p{n}", role="viewer") for n in range(5)]
    server = serve(*projects, FakeProject("other", "p0"), FakeProject("team", "old", version=1))
    source = connect(server)
    assert source.projects() == ["other/p0", *(f"team/p{n}" for n in range(5))]
    assert sum(r.path == "/api/backend/v1/projects" for r in server.requests) == 4


def test_discovered_projects_by_workspace_and_pattern(serve: Serve, export: Exporter) -> None:
    names = [("team", "cats"), ("team", "cats-old"), ("team", "dogs"), ("zoo", "cats")]
    projects = [FakeProject(*name) for name in names]
    for each in projects:
        each.add_run()
    server = serve(*projects)
    result = export(server, (), workspace="team", project_pattern="^cats", project_exclude_pattern="old")
    assert [p.project_id for p in result.projects] == ["team/cats"]
    assert result.projects[0].exported == 1


def test_unknown_and_legacy_projects(serve: Serve, connect: Connect) -> None:
    source = connect(serve(FakeProject("team", "old", version=1)))
    with pytest.raises(SourceError, match="no project team/none"):
        ids(source, project_id="team/none")
    with pytest.raises(SourceError, match="legacy"):
        ids(source, project_id="team/old")


def test_a_project_that_does_not_exist_does_not_stop_the_others(serve: Serve, export: Exporter) -> None:
    good = FakeProject("team", "cats")
    good.add_run()
    result = export(serve(good), ("team/none", "team/cats"))
    assert not result.complete
    assert [p.exported for p in result.projects] == [0, 1]
    assert "there is no project team/none" in result.not_found[0]


def registry() -> FakeProject:
    project = FakeProject("team", "cats")
    project.add_run()
    for key, framework, trashed in (("A", "torch", False), ("B", "jax", False), ("OLD", "torch", True)):
        model = project.add_model(key, {"framework": String(framework)}, trashed=trashed)
        for number in range(2):
            project.add_model_version(model, {"n": Int(number)}, trashed=trashed)
    return project


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (RunSelection(kinds=MODELS), ["SAN-A", "SAN-B", "SAN-A-1", "SAN-A-2", "SAN-B-1", "SAN-B-2"]),
        (RunSelection(kinds=frozenset({RunKind.MODEL})), ["SAN-A", "SAN-B"]),
        (RunSelection(kinds=MODELS, patterns=("SAN-A.*",)), ["SAN-A", "SAN-A-1", "SAN-A-2"]),
        (RunSelection(kinds=MODELS, query='framework:string = "jax"'), ["SAN-B", "SAN-B-1", "SAN-B-2"]),
        (
            RunSelection(kinds=MODELS, query='framework:string = "torch"', include_archived=True),
            ["SAN-A", "SAN-OLD", "SAN-A-1", "SAN-A-2", "SAN-OLD-1", "SAN-OLD-2"],
        ),
        (RunSelection(), ["SAN-1"]),
    ],
)
def test_models_and_versions(
    serve: Serve, connect: Connect, selection: RunSelection, expected: list[str]
) -> None:
    assert ids(connect(serve(registry())), selection) == expected


def test_models_lie_beside_the_runs(serve: Serve, export: Exporter) -> None:
    server = serve(registry())
    assert export(server).complete
    assert export(server, runs=RunSelection(kinds=MODELS)).complete
    found = {(run.key.kind, run.key.run_id) for run in export.dataset.runs()}
    assert (RunKind.RUN, "SAN-1") in found
    assert {i for kind, i in found if kind is RunKind.MODEL} == {"SAN-A", "SAN-B"}
    assert {i for kind, i in found if kind is RunKind.MODEL_VERSION} == {
        "SAN-A-1",
        "SAN-A-2",
        "SAN-B-1",
        "SAN-B-2",
    }
    assert export.value("SAN-B-2", "sys/model_id", "string_value") == "SAN-B"
    (folder,) = export.dataset.data_path.glob("team_cats-*")
    assert {"models", "model_versions"} <= {path.name for path in folder.iterdir()}


def test_a_search_is_tried_again(serve: Serve, connect: Connect, project: FakeProject) -> None:
    project.add_run()
    server = serve(project)
    server.fail(Fault("entries/search", status=503, times=2))
    assert ids(connect(server)) == ["SAN-1"]
    assert searches(server) == 3
