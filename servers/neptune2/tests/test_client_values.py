"""The unmodified client reads single values and series."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import neptune
import numpy as np
import pytest
from neptune.exceptions import MetadataInconsistency

from neptune_exporter_neptune2_server import (
    Bool,
    Datetime,
    FakeProject,
    Float,
    FloatSeries,
    GitRef,
    Int,
    Neptune2Server,
    NotebookRef,
    Options,
    RunState,
    String,
    StringSeries,
    StringSet,
    Unknown,
)

Serve = Callable[..., Neptune2Server]
AnyBackend = Callable[[Neptune2Server], Any]
MOMENT = datetime(2024, 3, 31, 1, 30, 0, 123000, tzinfo=timezone.utc)


@pytest.fixture
def project() -> FakeProject:
    return FakeProject("team", "cats")


def open_run(project: FakeProject, sys_id: str = "SAN-1") -> Any:
    return neptune.init_run(with_id=sys_id, project=project.qualified_name, mode="read-only")


def test_fetch_gives_the_single_values_of_a_run(serve: Serve, project: FakeProject) -> None:
    project.add_run(
        {
            "p/float": Float(0.1),
            "p/int": Int(-(2**31)),
            "p/bool": Bool(True),
            "p/string": String('é "quoted"\n\\'),
            "p/time": Datetime(MOMENT),
            "sys/state": RunState("running"),
            "git": GitRef("abc"),
            "m": FloatSeries([1.0]),
        }
    )
    serve(project)
    with open_run(project) as run:
        values = run.fetch()
    assert values["p"] == {
        "float": 0.1,
        "int": -(2**31),
        "bool": True,
        "string": 'é "quoted"\n\\',
        "time": MOMENT,
    }
    assert values["sys"]["id"] == "SAN-1"
    assert values["sys"]["state"] == "running"
    assert "m" not in values


def test_every_kind_of_single_value_can_be_fetched_alone(serve: Serve, project: FakeProject) -> None:
    project.add_run(
        {
            "float": Float(2.5),
            "int": Int(7),
            "bool": Bool(False),
            "string": String(""),
            "time": Datetime(MOMENT),
            "set": StringSet.of("a", "b"),
            "floats": FloatSeries([1.0, 9.0]),
            "strings": StringSeries(["x", "y"]),
        }
    )
    serve(project)
    with open_run(project) as run:
        assert run["float"].fetch() == 2.5
        assert run["int"].fetch() == 7
        assert run["bool"].fetch() is False
        assert run["string"].fetch() == ""
        assert run["time"].fetch() == MOMENT
        assert run["set"].fetch() == {"a", "b"}
        assert run["floats"].fetch_last() == 9.0
        assert run["strings"].fetch_last() == "y"
        assert isinstance(repr(run["sys/state"]), str)


def test_series_come_page_by_page_with_fractional_steps(serve: Serve, project: FakeProject) -> None:
    values = np.random.default_rng(1).normal(size=2500)
    project.add_run({"m": FloatSeries(values, steps=np.arange(2500) / 8), "log": StringSeries(["a"] * 1001)})
    server = serve(project)
    with open_run(project) as run:
        frame = run["m"].fetch_values(progress_bar=False)
        assert len(run["log"].fetch_values(progress_bar=False)) == 1001
    assert frame["value"].tolist() == values.tolist()
    assert frame["step"].tolist() == (np.arange(2500) / 8).tolist()
    paths = [request.path for request in server.requests]
    assert paths.count("/api/leaderboard/v1/attributes/series/float") == 3


def test_the_backend_tells_milliseconds(serve: Serve, project: FakeProject, backend_of: AnyBackend) -> None:
    times = [1_700_000_000_001, 1_700_000_000_002, 1_900_000_000_999]
    run = project.add_run({"m": FloatSeries([1, 2, 3], steps=[0, 0.1, 1e12], timestamps=times)})
    backend = backend_of(serve(project))
    points = backend.get_float_series_values(run.id, None, ["m"], 1, 2).values
    assert [(p.timestampMillis, p.step, p.value) for p in points] == [
        (1_700_000_000_002, 0.1, 2.0),
        (1_900_000_000_999, 1e12, 3.0),
    ]


def test_an_empty_series_is_empty(serve: Serve, project: FakeProject) -> None:
    project.add_run({"m": FloatSeries([]), "s": StringSeries([])})
    serve(project)
    with open_run(project) as run:
        assert len(run["m"].fetch_values()) == 0
        assert len(run["s"].fetch_values()) == 0
        assert run["m"].fetch_last() is None


def test_not_a_number_as_text_reaches_the_caller(serve: Serve, project: FakeProject) -> None:
    project.add_run({"nan": Float(math.nan), "m": FloatSeries([math.nan, math.inf, -math.inf, 1.0])})
    serve(project)
    with open_run(project) as run:
        assert math.isnan(run["nan"].fetch())
        first, *others = run["m"].fetch_values()["value"].tolist()
    assert math.isnan(first)
    assert others == [math.inf, -math.inf, 1.0]


def test_a_bare_nan_breaks_the_client(serve: Serve, project: FakeProject) -> None:
    project.add_run({"m": FloatSeries([math.nan]), "other": FloatSeries([1.0])})
    serve(project, options=Options(non_finite="bare"))
    with pytest.raises(ValueError, match="Expecting value"):  # the list of attributes has it as a summary
        open_run(project)


def test_null_for_not_a_number_is_none(serve: Serve, project: FakeProject, backend_of: AnyBackend) -> None:
    run = project.add_run({"m": FloatSeries([math.nan, 2.0])})
    backend = backend_of(serve(project, options=Options(non_finite="null")))
    points = backend.get_float_series_values(run.id, None, ["m"], 0, 10).values
    assert [p.value for p in points] == [None, 2.0]


def test_an_attribute_below_an_attribute_cannot_be_built(serve: Serve, project: FakeProject) -> None:
    project.add_run({"x": Float(1.0), "x/y": Float(2.0)})
    serve(project)
    with pytest.raises(MetadataInconsistency):
        open_run(project)


def test_fetch_fails_on_a_notebook_reference(serve: Serve, project: FakeProject) -> None:
    project.add_run({"source_code/notebook": NotebookRef("11111111-1111-1111-1111-111111111111", "n.ipynb")})
    serve(project)
    with open_run(project) as run, pytest.raises(AttributeError):
        run.fetch()


def test_a_path_with_two_slashes_is_out_of_reach_of_the_client(
    serve: Serve, project: FakeProject, backend_of: AnyBackend
) -> None:
    run = project.add_run({"a//b": Float(1.0)})
    backend = backend_of(serve(project))
    api = backend.leaderboard_client.api
    assert api.getFloatAttribute(experimentId=run.id, attribute="a//b").response().result.value == 1.0
    with open_run(project) as opened, pytest.raises(MetadataInconsistency):
        opened["a//b"].fetch()


def test_a_type_that_the_client_does_not_know_is_left_out(serve: Serve, project: FakeProject) -> None:
    project.add_run({"h": Unknown("histogramSeries", {"last": [1]}), "p": Float(1.0)})
    serve(project)
    with open_run(project) as run:
        assert run.exists("p")
        assert not run.exists("h")


def test_an_int_has_32_bits() -> None:
    with pytest.raises(ValueError, match="32 bits"):
        Int(2**31)


def test_values_steps_and_times_must_match() -> None:
    with pytest.raises(ValueError, match="2 steps"):
        FloatSeries([1.0], steps=[1, 2])
