"""fetch_runs_table and fetch_experiments_table of the unmodified client."""

from __future__ import annotations

import math
from datetime import datetime, timezone

import neptune_query
import pytest
from neptune_query import runs
from neptune_query.exceptions import ConflictingAttributeTypes
from neptune_query.experimental import fetch_runs_table_global
from neptune_query.filters import Attribute, AttributeFilter, Filter
from neptune_query.types import Histogram

from neptune_exporter_neptune3_server import FakeProject, FakeRun, FloatSeries, Limits, Neptune3Server

PROJECT = "acme/vision"
BY_ID = Attribute("sys/custom_run_id", type="string")


@pytest.mark.parametrize("by_exact_names", [True, False], ids=["search", "values"])
def test_every_type_comes_through_either_way(server: Neptune3Server, by_exact_names: bool) -> None:
    names = [
        "int-value", "float-value", "str-value", "bool-value", "datetime-value", "sys/tags", "metrics/loss",
        "logs/out", "hist/w", "files/model.bin", "files/samples",
    ]  # fmt: skip
    attributes = names if by_exact_names else AttributeFilter(name=names)
    row = runs.fetch_runs_table(project=PROJECT, runs=["root"], attributes=attributes).loc["root"]
    assert sorted(row.index) == sorted(names)
    assert row["int-value"] == 2**53 + 1
    assert row["float-value"] == 0.5
    assert row["str-value"] == 'he said "yes" \\o/'
    assert row["bool-value"]
    assert row["datetime-value"] == datetime(2025, 1, 2, 3, 4, 5, 678000, timezone.utc)
    assert row["sys/tags"] == {"baseline", "night"}
    assert row["metrics/loss"] == pytest.approx(0.9)
    assert row["logs/out"] == "line 4"
    assert row["hist/w"] == Histogram("DENSITY", [-1.5, 2.0], [7.0])
    model, sample = row["files/model.bin"], row["files/samples"]
    assert (model.size_bytes, model.mime_type, model.step) == (7000, "application/octet-stream", None)
    assert (sample.size_bytes, sample.mime_type, sample.step) == (3, "text/plain", 0.2)


def test_the_public_table_rounds_large_ints_when_a_run_lacks_the_attribute(server: Neptune3Server) -> None:
    table = runs.fetch_runs_table(project=PROJECT, runs=["root", "old/run 1"], attributes=["int-value"])
    assert table["int-value"].dtype == "float64"
    assert int(table.loc["root", "int-value"]) == 2**53


def test_system_attributes(server: Neptune3Server) -> None:
    table = runs.fetch_runs_table(project=PROJECT, attributes="^sys/", sort_by=BY_ID, sort_direction="asc")
    grandchild = table.loc["grandchild"]
    assert grandchild["sys/id"] == "VIS-3"
    assert grandchild["sys/name"] == grandchild["sys/experiment/name"] == "exp-b"
    assert grandchild["sys/forking/parent"] == "fork"
    assert grandchild["sys/forking/step"] == 6.5
    assert grandchild["sys/forking/depth"] == 2
    assert grandchild["sys/modification_time"] > grandchild["sys/creation_time"]
    assert math.isnan(table.loc["root", "sys/forking/step"])
    assert list(table["sys/archived"]) == [False, False, True, False]


def test_a_changed_run_shows_its_changes(server: Neptune3Server, project: FakeProject) -> None:
    run = project.runs[1]
    run.attributes["int-value"] = 8
    run.attributes["sys/owner"] = None
    run.modified = datetime(2026, 1, 1, tzinfo=timezone.utc)
    row = runs.fetch_runs_table(project=PROJECT, runs=["fork"], attributes="int-value|sys/(owner|mod)").loc[
        "fork"
    ]
    assert row["int-value"] == 8
    assert row["sys/modification_time"] == datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert "sys/owner" not in row.index


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_rows_are_sorted_with_missing_values_last(server: Neptune3Server, direction: str) -> None:
    def order(by: Attribute) -> list[str]:
        table = runs.fetch_runs_table(project=PROJECT, sort_by=by, sort_direction=direction)
        return list(table.index)

    ascending = direction == "asc"
    assert order(BY_ID) == sorted(["fork", "grandchild", "old/run 1", "root"], reverse=not ascending)
    numbers = order(Attribute("int-value", type="int"))
    assert numbers[:2] == (["fork", "root"] if ascending else ["root", "fork"])
    metric = order(Attribute("metrics/loss", type="float_series"))
    assert metric[:3] == (["root", "fork", "grandchild"] if ascending else ["grandchild", "fork", "root"])
    assert metric[3] == "old/run 1"


def test_the_default_order_is_the_newest_first_and_can_be_cut(server: Neptune3Server) -> None:
    assert list(runs.fetch_runs_table(project=PROJECT).index) == ["old/run 1", "grandchild", "fork", "root"]
    assert list(runs.fetch_runs_table(project=PROJECT, limit=2).index) == ["old/run 1", "grandchild"]


def test_experiments_show_their_newest_run(server: Neptune3Server) -> None:
    table = neptune_query.fetch_experiments_table(
        project=PROJECT, experiments="exp-b", attributes=["sys/custom_run_id"]
    )
    assert table.to_dict() == {"sys/custom_run_id": {"exp-b": "grandchild"}}


def test_one_name_of_two_types_needs_the_suffix(server: Neptune3Server) -> None:
    with pytest.raises(ConflictingAttributeTypes):
        runs.fetch_runs_table(project=PROJECT, attributes="mixed")
    table = runs.fetch_runs_table(project=PROJECT, attributes="mixed", type_suffix_in_column_names=True)
    assert table.loc["fork", "mixed:string"] == "a string here"
    assert table.loc["grandchild", "mixed:int"] == 3


def test_values_come_in_as_many_pages_as_it_takes(project: FakeProject) -> None:
    with Neptune3Server([project], limits=Limits(values_per_answer=3)) as server:
        neptune_query.set_api_token(server.api_token)
        table = runs.fetch_runs_table(project=PROJECT, attributes="-value|sys/(id|tags)", sort_by=BY_ID)
        pages = [each for each in server.requests if each.path.endswith("proto/leaderboard/attributes/query")]
    assert len(pages) == 4  # 5 -value and tags of root, int-value of fork, str-value of old, 4 ids
    assert table.notna().sum().sum() == 12
    assert table.loc["root", "float-value"] == 0.5


def test_a_series_without_points_has_no_last_value(server: Neptune3Server, project: FakeProject) -> None:
    project.runs[3].attributes["metrics/none"] = FloatSeries([], [])
    table = runs.fetch_runs_table(project=PROJECT, runs=["old/run 1"], attributes=["metrics/none"])
    assert table.loc["old/run 1", "metrics/none"] == 0.0  # what the client makes of an absent field


def test_all_projects_are_searched_at_once(server: Neptune3Server) -> None:
    server.projects.append(FakeProject("other/one", [FakeRun("root", {"int-value": 5})]))
    server.projects.append(FakeProject("other/hidden", [FakeRun("root")], accessible=False))
    wanted = Filter.matches(Attribute("sys/custom_run_id", type="string"), "^root$")
    with pytest.warns(Warning, match="experimental"):
        table = fetch_runs_table_global(runs=wanted, attributes=["int-value"])
    assert table["int-value"].to_dict() == {(PROJECT, "root"): 2**53 + 1, ("other/one", "root"): 5}
