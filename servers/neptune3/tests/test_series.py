"""fetch_series of the unmodified client: strings, histograms, files."""

from __future__ import annotations

import neptune_query
import pytest
from neptune_query import runs, types

from neptune_exporter_neptune3_server import (
    SERIES_PATH,
    FakeProject,
    FakeRun,
    HistogramSeries,
    Limits,
    Neptune3Server,
    StringSeries,
)
from neptune_exporter_neptune3_server.model import Histogram

PROJECT = "acme/vision"


def series(run: str, name: str, **options: object) -> list[tuple[float, object]]:
    table = runs.fetch_series(project=PROJECT, runs=[run], attributes=[name], **options)
    return [(step, value) for (_, step), value in table[name].items()] if name in table else []


def test_strings(server: Neptune3Server) -> None:
    assert series("root", "logs/out") == [(n, f"line {n}") for n in range(5)]
    assert series("root", "logs/out", step_range=(1, 3)) == [(n, f"line {n}") for n in (1, 2, 3)]
    assert series("root", "logs/out", tail_limit=2) == [(n, f"line {n}") for n in (3, 4)]
    assert series("root", "logs/out", step_range=(7, 9)) == []


def test_histograms(server: Neptune3Server) -> None:
    assert series("root", "hist/w") == [
        (0.0, types.Histogram("COUNTING", [0.0, 1.0, 2.0], [3.0, 4.0])),
        (1.5, types.Histogram("DENSITY", [-1.5, 2.0], [7.0])),
    ]


def test_files_and_times(server: Neptune3Server) -> None:
    table = runs.fetch_series(
        project=PROJECT, runs=["root"], attributes=["files/samples"], include_time="absolute"
    )["files/samples"]
    files = list(table["value"])
    assert [(file.step, file.size_bytes, file.mime_type) for file in files] == [
        (0.0, 8, "text/html"),
        (0.2, 3, "text/plain"),
    ]
    assert files[0].path != files[1].path
    assert [moment.timestamp() for moment in table["absolute_time"]] == [1_704_067_200.0, 1_704_067_201.0]


def test_forks_inherit_series(server: Neptune3Server) -> None:
    assert series("fork", "logs/out") == [*((n, f"line {n}") for n in range(5)), (5, "fork 5"), (6, "fork 6")]
    assert series("fork", "logs/out", lineage_to_the_root=False) == [(5, "fork 5"), (6, "fork 6")]
    assert series("fork", "logs/out", tail_limit=3)[0] == (4, "line 4")


def test_an_experiment_inherits_across_its_runs(project: FakeProject) -> None:
    with Neptune3Server([project], list_inherited=True) as server:
        neptune_query.set_api_token(server.api_token)
        table = neptune_query.fetch_series(project=PROJECT, experiments=["exp-b"], attributes=["logs/out"])
    assert list(table["logs/out"]) == [*(f"line {n}" for n in range(5)), "fork 5", "fork 6"]


@pytest.mark.parametrize("room", [1, 2, 3, 100])
def test_series_come_in_as_many_pages_as_it_takes(project: FakeProject, room: int) -> None:
    with Neptune3Server([project], limits=Limits(objects_per_answer=room)) as server:
        neptune_query.set_api_token(server.api_token)
        table = runs.fetch_series(
            project=PROJECT, runs="root|fork", attributes="logs|hist", lineage_to_the_root=False
        )
        pages = sum(each.path == SERIES_PATH for each in server.requests)
    assert table.notna().sum().sum() == 5 + 2 + 2
    assert list(table["logs/out"]["root"].dropna()) == [f"line {n}" for n in range(5)]
    assert pages == -(-9 // room)


@pytest.mark.parametrize("room", [1, 4])
def test_a_tail_longer_than_a_page(project: FakeProject, room: int) -> None:
    with Neptune3Server([project], limits=Limits(objects_per_answer=room)) as server:
        neptune_query.set_api_token(server.api_token)
        assert series("root", "logs/out", tail_limit=3) == [(n, f"line {n}") for n in (2, 3, 4)]


def test_points_of_one_step_are_all_there(server: Neptune3Server, project: FakeProject) -> None:
    project.runs[0].attributes["logs/twice"] = StringSeries([2, 1, 1], ["c", "a", "b"], [30, 10, 20])
    table = runs.fetch_series(
        project=PROJECT, runs=["root"], attributes=["logs/twice"], include_time="absolute"
    )
    assert len(table) == 2  # the client's pivot keeps one of the two
    assert "logs/twice" in runs.list_attributes(project=PROJECT, runs=["root"])


def test_what_is_not_there_is_empty(server: Neptune3Server) -> None:
    assert series("root", "logs/none") == []
    assert series("old/run 1", "logs/out") == []
    assert series("nobody", "logs/out") == []


def test_one_name_of_two_types_ends_the_clients_call(server: Neptune3Server, project: FakeProject) -> None:
    project.runs[1].attributes["hist/w"] = StringSeries([0], ["not a histogram"])
    assert series("fork", "hist/w", lineage_to_the_root=False) == [(0, "not a histogram")]
    with pytest.raises(AttributeError):
        runs.fetch_series(project=PROJECT, runs="root|fork", attributes="^hist/w$", lineage_to_the_root=False)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        StringSeries([0, 1], ["a"])
    with pytest.raises(ValueError, match="one length"):
        HistogramSeries([0], [Histogram([0, 1], [1])], [1, 2])


def test_an_empty_string_is_a_value(server: Neptune3Server) -> None:
    server.projects.append(
        FakeProject("acme/e", [FakeRun("r", {"s": StringSeries([0, 1], ["", "é\0"]), "t": ""})])
    )
    table = runs.fetch_series(project="acme/e", runs=["r"], attributes=["s"])
    assert list(table["s"]) == ["", "é\0"]
    assert runs.fetch_runs_table(project="acme/e", attributes=["t"]).loc["r", "t"] == ""
