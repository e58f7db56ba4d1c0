"""The unmodified client lists projects, runs, models and model versions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Any

import neptune
import pytest
from neptune import management
from neptune.exceptions import (
    MetadataContainerNotFound,
    NeptuneInvalidQueryException,
    NeptuneLegacyProjectException,
    ProjectNotFoundWithSuggestions,
)

from neptune_exporter_neptune2_server import (
    Artifact,
    FakeProject,
    File,
    Float,
    FloatSeries,
    GitRef,
    Int,
    Neptune2Server,
    RunState,
    String,
    StringSet,
)

Serve = Callable[..., Neptune2Server]


@pytest.fixture
def project() -> FakeProject:
    return FakeProject("team", "cats")


def opened(project: FakeProject) -> Any:
    return neptune.init_project(project.qualified_name, mode="read-only")


def ids(table: Any) -> list[str]:
    return [row.get_attribute_value("sys/id") for row in table]


def test_projects_that_the_user_may_read_are_listed(serve: Serve) -> None:
    serve(FakeProject("team", "cats"), FakeProject("other", "dogs", role="viewer"))
    assert management.get_project_list() == ["team/cats", "other/dogs"]


def test_projects_can_be_listed_by_workspace_and_page(serve: Serve, backend_of: Callable[..., Any]) -> None:
    server = serve(*(FakeProject("team", f"p{n}") for n in range(5)), FakeProject("other", "x"))
    api = backend_of(server).backend_client.api
    answer = api.listProjects(organizationIdentifier="team", offset=3, limit=5).response().result
    assert [entry.name for entry in answer.entries] == ["p3", "p4"]
    assert answer.matchingItemCount == 5
    assert [w.name for w in api.listOrganizations().response().result] == ["team", "other"]


def test_an_unknown_project_is_reported(serve: Serve, project: FakeProject) -> None:
    serve(project)
    with pytest.raises(ProjectNotFoundWithSuggestions):
        neptune.init_project("team/dogs", mode="read-only")


def test_a_project_of_the_legacy_version_is_refused(serve: Serve) -> None:
    serve(FakeProject("team", "old", version=1))
    with pytest.raises(NeptuneLegacyProjectException):
        neptune.init_project("team/old", mode="read-only")


def test_an_unknown_run_is_reported(serve: Serve, project: FakeProject) -> None:
    project.add_model("M")
    serve(project)
    for missing in ("SAN-1", "SAN-M"):
        with pytest.raises(MetadataContainerNotFound):
            neptune.init_run(with_id=missing, project="team/cats", mode="read-only")


def test_a_table_has_a_row_for_every_run(serve: Serve, project: FakeProject) -> None:
    project.add_run(
        {
            "p": Float(0.5),
            "sys/tags": StringSet.of("b", "a"),
            "m": FloatSeries([1.0, 3.0]),
            "git": GitRef("abc"),
            "art": Artifact((), "123"),
            "f": File(b""),
        }
    )
    project.add_run()
    project.add_model("M")
    serve(project)
    with opened(project) as reading:
        frame = reading.fetch_runs_table(progress_bar=False).to_pandas().set_index("sys/id")
    assert list(frame.index) == ["SAN-2", "SAN-1"]  # the newest first
    row = frame.loc["SAN-1"]
    assert (row["p"], row["sys/tags"], row["m"], row["git"], row["art"]) == (0.5, "a,b", 3.0, "abc", "123")
    assert row["sys/creation_time"] == datetime(2024, 1, 1)


def test_columns_limit_a_row(serve: Serve, project: FakeProject) -> None:
    project.add_run({"p": Float(0.5), "q": Float(1.5)})
    serve(project)
    with opened(project) as reading:
        frame = reading.fetch_runs_table(columns=["p"], sort_by="sys/id", progress_bar=False).to_pandas()
    assert sorted(frame.columns) == ["p", "sys/id"]


def test_filters_of_the_client(serve: Serve, project: FakeProject) -> None:
    project.add_run({"sys/tags": StringSet.of("a", "b")})
    project.add_run({"sys/state": RunState("running"), "sys/tags": StringSet.of("a")})
    project.add_run({"sys/owner": String("eve")}, trashed=True)
    serve(project)
    with opened(project) as reading:

        def found(**filters: Any) -> list[str]:
            return ids(
                reading.fetch_runs_table(**filters, sort_by="sys/id", ascending=True, progress_bar=False)
            )

        assert found() == ["SAN-1", "SAN-2"]
        assert found(trashed=True) == ["SAN-3"]
        assert found(trashed=None) == ["SAN-1", "SAN-2", "SAN-3"]
        assert found(tag="a") == ["SAN-1", "SAN-2"]
        assert found(tag=["a", "b"]) == ["SAN-1"]
        assert found(state="active") == ["SAN-2"]
        assert found(owner=["ada", "eve"], trashed=None) == ["SAN-1", "SAN-2", "SAN-3"]
        assert found(id=["SAN-2", "SAN-3"], trashed=None) == ["SAN-2", "SAN-3"]
        assert found(query="(sys/state: experimentState = idle)") == ["SAN-1"]
        assert found(limit=1) == ["SAN-1"]


def test_sorting(serve: Serve, project: FakeProject) -> None:
    for value in (Float(2.5), Int(1), Float(7.0)):
        project.add_run({"p": value})
    project.add_run()
    serve(project)
    with opened(project) as reading:
        by_p = reading.fetch_runs_table(sort_by="p", ascending=True, progress_bar=False)
        assert ids(by_p) == ["SAN-2", "SAN-1", "SAN-3", "SAN-4"]  # without a value: last
        by_time = reading.fetch_runs_table(ascending=True, progress_bar=False)
        assert ids(by_time) == ["SAN-1", "SAN-2", "SAN-3", "SAN-4"]
        with pytest.raises(ValueError, match="not present"):
            reading.fetch_runs_table(sort_by="missing", progress_bar=False)


def test_an_empty_project_can_be_listed_by_id_only(serve: Serve, project: FakeProject) -> None:
    serve(project)
    with opened(project) as reading:
        assert ids(reading.fetch_runs_table(sort_by="sys/id", progress_bar=False)) == []
        with pytest.raises(ValueError, match="not present"):  # the client looks the type of its column up
            reading.fetch_runs_table(progress_bar=False)


def test_a_query_that_is_none_is_reported(serve: Serve, project: FakeProject) -> None:
    project.add_run()
    serve(project)
    with opened(project) as reading, pytest.raises(NeptuneInvalidQueryException):
        ids(reading.fetch_runs_table(query="key: float = (-_-)", progress_bar=False))


@pytest.fixture
def large_project(project: FakeProject) -> FakeProject:
    for _ in range(10_003):
        project.add_run()
    return project


def test_more_than_ten_thousand_runs(
    serve: Serve, large_project: FakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEPTUNE_FETCH_TABLE_STEP_SIZE", "5000")
    serve(large_project)
    with opened(large_project) as reading:
        options = {"columns": ["sys/id"], "progress_bar": False}
        listed = ids(reading.fetch_runs_table(sort_by="sys/id", ascending=True, **options))
        assert listed == sorted(run.sys_id for run in large_project.containers)
        # Descending, the client asks for what is greater than the last, so it gets the same again.
        table = reading.fetch_runs_table(sort_by="sys/id", limit=15_000, **options)
        assert len(set(islice(ids(table), 15_000))) == 10_000


def test_models_and_their_versions(serve: Serve, project: FakeProject) -> None:
    model = project.add_model("PRE", {"kind": String("tree")})
    other = project.add_model("OTH", trashed=True)
    for stage in ("none", "production"):
        project.add_model_version(model, stage=stage)
    project.add_model_version(other)
    project.add_run()
    serve(project)
    with opened(project) as reading:
        assert ids(reading.fetch_models_table(progress_bar=False)) == ["SAN-PRE"]
        assert ids(reading.fetch_models_table(trashed=True, progress_bar=False)) == ["SAN-OTH"]
    with neptune.init_model("SAN-PRE", project="team/cats", mode="read-only") as opened_model:
        assert opened_model.fetch()["kind"] == "tree"
        table = opened_model.fetch_model_versions_table(ascending=True, progress_bar=False).to_pandas()
        assert table["sys/id"].tolist() == ["SAN-PRE-1", "SAN-PRE-2"]
        assert table["sys/stage"].tolist() == ["none", "production"]
    with neptune.init_model_version("SAN-PRE-2", project="team/cats", mode="read-only") as version:
        assert version["sys/model_id"].fetch() == "SAN-PRE"
        assert version.get_url().endswith("/m/SAN-PRE/v/SAN-PRE-2")
