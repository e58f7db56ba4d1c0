"""Filters as the client writes them, evaluated by the server."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from neptune_query import runs
from neptune_query.exceptions import AttributeTypeInferenceError, NeptuneUnexpectedResponseError
from neptune_query.filters import Attribute, Filter

from neptune_exporter_neptune3_server import FakeProject, FakeRun, FloatSeries, Neptune3Server
from neptune_exporter_neptune3_server.errors import BadRequestError
from neptune_exporter_neptune3_server.nql import compile_query

PROJECT = "acme/vision"
MOMENT = datetime(2025, 1, 2, 3, 4, 5, 678000, timezone.utc)


def typed(name: str, kind: str) -> Attribute:
    return Attribute(name, type=kind)


INT, FLOAT, TEXT = typed("int-value", "int"), typed("float-value", "float"), typed("str-value", "string")
WHEN, BOOL, TAGS = (
    typed("datetime-value", "datetime"),
    typed("bool-value", "bool"),
    typed("sys/tags", "string_set"),
)
LOSS, LOGS = typed("metrics/loss", "float_series"), typed("logs/out", "string_series")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter.eq(INT, 2**53 + 1), {"root"}),
        (Filter.eq(INT, 2**53), set()),
        (Filter.gt(INT, 7), {"root"}),
        (Filter.le(INT, 7), {"fork"}),
        (Filter.ne(INT, 7), {"root"}),
        (Filter.lt(INT, 7.5), {"fork"}),
        (Filter.eq(typed("int-value", "float"), 7), set()),
        (Filter.ge(FLOAT, 0.5), {"root"}),
        (Filter.gt(FLOAT, 0.5), set()),
        (Filter.eq(BOOL, True), {"root"}),
        (Filter.eq(BOOL, False), set()),
        (Filter.eq(TEXT, 'he said "yes" \\o/'), {"root"}),
        (Filter.matches(TEXT, r"^he said \"yes\" \\o/$"), {"root"}),
        (Filter.matches(TEXT, "^x$ | yes & !no"), {"root", "old/run 1"}),
        (Filter.matches(TEXT, "!x"), {"root", "fork", "grandchild"}),
        (Filter.contains_all(TEXT, ["he", "yes"]), {"root"}),
        (Filter.contains_none(TEXT, ["he", "yes"]), {"fork", "grandchild", "old/run 1"}),
        (Filter.contains_all(TAGS, ["night", "baseline"]), {"root"}),
        (Filter.contains_all(TAGS, ["night", "day"]), set()),
        (Filter.contains_none(TAGS, "night"), {"fork", "grandchild", "old/run 1"}),
        (Filter.eq(WHEN, MOMENT), {"root"}),
        (Filter.eq(WHEN, MOMENT.astimezone(timezone(timedelta(hours=-7)))), {"root"}),
        (Filter.gt(WHEN, MOMENT - timedelta(milliseconds=1)), {"root"}),
        (Filter.gt(WHEN, MOMENT), set()),
        (
            Filter.ge(
                typed("sys/modification_time", "datetime"), datetime(2024, 1, 1, 1, 2, tzinfo=timezone.utc)
            ),
            {"grandchild", "old/run 1"},
        ),
        (Filter.eq(LOSS, 70.0), {"fork"}),
        (Filter.gt(LOSS, 100), {"grandchild"}),
        (Filter.eq(LOGS, "line 4"), {"root"}),
        (Filter.eq(LOGS, "line 3"), set()),
        (Filter.exists(LOSS), {"root", "fork", "grandchild"}),
        (Filter.exists(typed("mixed", "string")), {"fork"}),
        (Filter.exists(typed("mixed", "int")), {"grandchild"}),
        (Filter.exists(typed("files/model.bin", "file")), {"root"}),
        (~Filter.exists(LOSS), {"old/run 1"}),
        (Filter.name("exp-b"), {"fork", "grandchild"}),
        (Filter.name(["exp-a", "exp-old"]), {"root", "old/run 1"}),
        (Filter.eq(INT, 7) | Filter.eq(BOOL, True), {"root", "fork"}),
        ((Filter.eq(INT, 7) | Filter.eq(BOOL, True)) & ~Filter.exists(typed("mixed", "string")), {"root"}),
        (Filter.eq("int-value", 7), {"fork"}),  # the client asks for the type itself
    ],
    ids=str,
)
def test_a_filter_finds_its_runs(server: Neptune3Server, wanted: Filter, expected: set[str]) -> None:
    assert set(runs.list_runs(project=PROJECT, runs=wanted)) == expected


def test_a_metric_that_ends_with_nan_exists_and_is_compared_with_nothing(server: Neptune3Server) -> None:
    server.projects.append(
        FakeProject("acme/nan", [FakeRun("a", {"m": FloatSeries([0, 1], [1.0, float("nan")])}), FakeRun("b")])
    )
    metric = typed("m", "float_series")
    assert runs.list_runs(project="acme/nan", runs=Filter.exists(metric)) == ["a"]
    assert runs.list_runs(project="acme/nan", runs=Filter.ge(metric, 0) | Filter.lt(metric, 0)) == []


def test_one_name_of_two_types_cannot_be_filtered_without_its_type(server: Neptune3Server) -> None:
    with pytest.raises(AttributeTypeInferenceError, match="mixed"):
        runs.list_runs(project=PROJECT, runs=Filter.exists("mixed"))


@pytest.mark.parametrize(
    "wanted",
    [
        Filter.exists(typed("hist/w", "histogram_series")),
        Filter.exists(typed("files/samples", "file_series")),
        Filter.gt(BOOL, True),
        Filter.matches(INT, "7"),
        Filter.contains_all(INT, "7"),
        Filter.matches(TEXT, "("),
        Filter.eq(INT, "seven"),
        Filter.eq(BOOL, "perhaps"),
        Filter.eq(WHEN, "yesterday"),
        Filter.eq(typed("back`tick", "int"), 1),
    ],
    ids=str,
)
def test_what_the_language_cannot_say_is_a_bad_request(server: Neptune3Server, wanted: Filter) -> None:
    with pytest.raises(NeptuneUnexpectedResponseError, match="400"):
        runs.list_runs(project=PROJECT, runs=wanted)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "`a` == 1",
        "`a`:int",
        "`a`:int == ",
        "(`a`:int == 1",
        "`a`:int == 1 `b`:int == 2",
        "a:int == 1",
        "`a`:int NOT == 1",
        "last(`a`:floatSeries == 1",
        "`a`:int == 1 AND",
        "`a`:thing EXISTS",
        '`a`:string == "x',
    ],
)
def test_a_query_that_cannot_be_read_is_refused(query: str) -> None:
    with pytest.raises(BadRequestError):
        compile_query(query)
