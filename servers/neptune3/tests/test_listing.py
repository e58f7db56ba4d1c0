"""list_runs, list_experiments and list_attributes of the unmodified client."""

from __future__ import annotations

import neptune_query
import pytest
from neptune_query import runs
from neptune_query.exceptions import NeptuneProjectInaccessible
from neptune_query.filters import Attribute, AttributeFilter, Filter

from neptune_exporter_neptune3_server import FakeProject, FakeRun, Neptune3Server, OtherValue

PROJECT = "acme/vision"
ALL = ["fork", "grandchild", "old/run 1", "root"]


def _runs(wanted: object = None) -> list[str]:
    return list(runs.list_runs(project=PROJECT, runs=wanted))


def test_all_runs_are_listed_archived_ones_too(server: Neptune3Server) -> None:
    assert _runs() == ALL


def test_runs_are_found_by_regex_anywhere_in_the_id_and_by_exact_id(server: Neptune3Server) -> None:
    assert _runs("^r") == ["root"]
    assert _runs("r.*n") == ["grandchild", "old/run 1"]
    assert _runs("o & !old") == ["fork", "root"]
    assert _runs(["root", "roo"]) == ["root"]


def test_archived_runs_are_left_out_by_a_filter(server: Neptune3Server) -> None:
    assert _runs(Filter.eq("sys/archived", False)) == ["fork", "grandchild", "root"]
    assert _runs(Filter.eq(Attribute("sys/trashed", type="bool"), True)) == ["old/run 1"]


def test_experiments_are_their_newest_runs(server: Neptune3Server) -> None:
    assert neptune_query.list_experiments(project=PROJECT) == ["exp-a", "exp-b", "exp-old"]
    heads = runs.list_runs(project=PROJECT, runs=Filter.eq("sys/experiment/is_head", True))
    assert heads == ["grandchild", "old/run 1", "root"]
    assert neptune_query.list_experiments(project=PROJECT, experiments="exp-[ab]") == ["exp-a", "exp-b"]
    assert neptune_query.list_experiments(project=PROJECT, experiments=["exp-a"]) == ["exp-a"]


def test_a_run_without_a_custom_id_breaks_the_clients_list(
    server: Neptune3Server, project: FakeProject
) -> None:
    project.runs.append(FakeRun(None))
    with pytest.raises(KeyError, match="custom_run_id"):
        _runs()


def test_more_runs_than_a_page_holds_are_all_listed(server: Neptune3Server) -> None:
    server.projects.append(FakeProject("acme/many", [FakeRun(f"r{n:05d}") for n in range(10_001)]))
    assert runs.list_runs(project="acme/many") == [f"r{n:05d}" for n in range(10_001)]
    assert len(server.requests) == 3  # the token and two pages


@pytest.mark.parametrize("name", ["acme/nothing", "nobody/vision", "vision"])
def test_a_project_that_is_not_there_is_inaccessible(server: Neptune3Server, name: str) -> None:
    with pytest.raises(NeptuneProjectInaccessible):
        runs.list_runs(project=name)
    with pytest.raises(NeptuneProjectInaccessible):
        runs.list_attributes(project=name)


def test_a_project_that_the_token_may_not_see_is_inaccessible(
    server: Neptune3Server, project: FakeProject
) -> None:
    project.accessible = False
    with pytest.raises(NeptuneProjectInaccessible):
        _runs()


def _attributes(wanted: object = None, of: object = None) -> list[str]:
    names = runs.list_attributes(project=PROJECT, runs=of, attributes=wanted)
    return [name for name in names if not name.startswith("sys/")]


def test_attributes_of_all_runs_and_of_some(server: Neptune3Server) -> None:
    assert _attributes() == sorted(
        [
            "int-value",
            "float-value",
            "str-value",
            "bool-value",
            "datetime-value",
            "metrics/loss",
            "metrics/odd",
            "logs/out",
            "hist/w",
            "files/model.bin",
            "files/samples",
            "mixed",
        ]
    )
    assert _attributes(of=["fork"]) == ["int-value", "logs/out", "metrics/loss", "mixed"]
    assert _attributes(of="^(fork|old)") == ["int-value", "logs/out", "metrics/loss", "mixed", "str-value"]
    assert _attributes(of=["nobody"]) == []


def test_attributes_by_name_and_type(server: Neptune3Server) -> None:
    assert _attributes("metrics/.*|^mixed$") == ["metrics/loss", "metrics/odd", "mixed"]
    assert _attributes("s/ & !odd | ^mixed") == [
        "files/model.bin",
        "files/samples",
        "logs/out",
        "metrics/loss",
        "mixed",
    ]
    assert _attributes(["mixed", "files/model.bin", "files/modelxbin"]) == ["files/model.bin", "mixed"]
    by_type = {
        "float": ["float-value"],
        "int": ["int-value", "mixed"],
        "string": ["mixed", "str-value"],
        "bool": ["bool-value"],
        "datetime": ["datetime-value"],
        "float_series": ["metrics/loss", "metrics/odd"],
        "string_series": ["logs/out"],
        "histogram_series": ["hist/w"],
        "file": ["files/model.bin"],
        "file_series": ["files/samples"],
    }
    for kind, names in by_type.items():
        assert _attributes(AttributeFilter(type=kind)) == names
    tags = runs.list_attributes(project=PROJECT, attributes=AttributeFilter(type="string_set"))
    assert tags == ["sys/tags"]
    either = AttributeFilter(name="loss") | AttributeFilter(type=["file", "bool"])
    assert _attributes(either) == ["bool-value", "files/model.bin", "metrics/loss"]


def test_the_client_never_asks_for_types_that_it_does_not_know(
    server: Neptune3Server, project: FakeProject
) -> None:
    project.runs[0].attributes["sys/state"] = OtherValue()
    assert "sys/state" not in runs.list_attributes(project=PROJECT)
    assert list(runs.fetch_runs_table(project=PROJECT, attributes=["sys/state"]).columns) == []


def test_more_attributes_than_a_page_holds_are_all_listed(server: Neptune3Server) -> None:
    names = [f"p/{n:05d}" for n in range(10_001)]
    server.projects.append(FakeProject("acme/wide", [FakeRun("wide", dict.fromkeys(names, 1))]))
    found = runs.list_attributes(project="acme/wide", attributes="^p/")
    assert found == names


def test_inherited_series_are_listed_only_if_the_server_does_so(project: FakeProject) -> None:
    for list_inherited, expected in ((False, ["metrics/loss"]), (True, ["metrics/loss", "metrics/odd"])):
        with Neptune3Server([project], list_inherited=list_inherited) as server:
            neptune_query.set_api_token(server.api_token)
            assert _attributes("^metrics/", of=["grandchild"]) == expected
