"""What arrives in the dataset of every type of attribute, through whole exports with the real client."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta, timezone

import pytest

from neptune_exporter.model import AttributeType
from neptune_exporter_neptune2 import values
from neptune_exporter_neptune2_server import (
    Bool,
    Datetime,
    FakeProject,
    Float,
    FloatSeries,
    GitRef,
    Int,
    NotebookRef,
    Options,
    RunState,
    String,
    StringSeries,
    StringSet,
    Unknown,
)

from .conftest import Exporter, Serve

ODD = [1.0, math.nan, math.inf, -math.inf, -0.0, 5e-324]


@pytest.fixture
def project() -> FakeProject:
    return FakeProject("team", "cats")


def test_single_values(serve: Serve, export: Exporter, project: FakeProject) -> None:
    when = datetime(2024, 3, 31, 0, 59, 59, 999000, tzinfo=timezone.utc)
    project.add_run(
        {
            "f": Float(0.1),
            "i": Int(-(2**31)),
            "b": Bool(False),
            "s": String("naïve\x00\n日本語 \U0001f680"),
            "d": Datetime(when),
            "t": StringSet.of("b", "a"),
        }
    )
    assert export(serve(project)).complete
    assert export.value("SAN-1", "f", "float_value") == 0.1
    assert export.value("SAN-1", "i", "int_value") == -(2**31)
    assert export.value("SAN-1", "b", "bool_value") is False
    assert export.value("SAN-1", "s", "string_value") == "naïve\x00\n日本語 \U0001f680"
    assert export.value("SAN-1", "d", "datetime_value") == when
    assert export.value("SAN-1", "t", "string_set_value") == ["a", "b"]
    assert export.value("SAN-1", "sys/id", "string_value") == "SAN-1"


def test_what_the_client_cannot_read_is_the_servers_json(
    serve: Serve, export: Exporter, project: FakeProject
) -> None:
    git = GitRef("a1b2", "fix\nit", "Ada", "ada@x.org", branch="main", remotes=("b", "a"), dirty=True)
    project.add_run(
        {
            "source_code/git": git,
            "notebook": NotebookRef("n-1", "N", "c-1", "C"),
            "new": Unknown("tensor", {"shape": [2, 3]}),
            "sys/state": RunState("running"),
        }
    )
    project.add_run({"sys/state": RunState("sleeping")})
    assert export(serve(project)).complete
    assert json.loads(export.value("SAN-1", "source_code/git", "string_value")) == {
        "commit": {
            "commitId": "a1b2",
            "message": "fix\nit",
            "authorName": "Ada",
            "authorEmail": "ada@x.org",
            "commitDate": "2024-01-01T00:00:00.000Z",
        },
        "currentBranch": "main",
        "remotes": ["b", "a"],
        "repositoryDirty": True,
    }
    assert json.loads(export.value("SAN-1", "notebook", "string_value"))["checkpointName"] == "C"
    assert json.loads(export.value("SAN-1", "new", "string_value")) == {"shape": [2, 3]}
    assert export.value("SAN-1", "sys/state", "string_value") == "Active"
    assert export.value("SAN-2", "sys/state", "string_value") == "sleeping"


def test_runs_that_the_client_cannot_build(serve: Serve, export: Exporter, project: FakeProject) -> None:
    project.add_run(
        {"x": Int(1), "x/y": Int(2), "a//b": FloatSeries([7.0]), "/lead": String("l"), "n": NotebookRef("n")}
    )
    assert export(serve(project)).complete
    assert export.value("SAN-1", "x", "int_value") == 1
    assert export.value("SAN-1", "x/y", "int_value") == 2
    assert export.value("SAN-1", "a//b", "float_value") == 7.0
    assert export.value("SAN-1", "/lead", "string_value") == "l"


@pytest.mark.parametrize("mode", ["text", "bare"])
def test_nan_and_infinities(serve: Serve, export: Exporter, project: FakeProject, mode: str) -> None:
    project.add_run({"p": Float(math.nan), "q": Float(-math.inf), "m": FloatSeries(ODD)})
    assert export(serve(project, options=Options(non_finite=mode))).complete  # type: ignore[arg-type]
    assert math.isnan(export.value("SAN-1", "p", "float_value"))
    assert export.value("SAN-1", "q", "float_value") == -math.inf
    assert repr([row["float_value"] for row in export.rows("SAN-1", "m")]) == repr(ODD)


def test_null_for_a_number_is_nan_and_is_noted(serve: Serve, export: Exporter, project: FakeProject) -> None:
    project.add_run({"p": Float(math.nan), "m": FloatSeries([math.nan, 1.0])})
    assert export(serve(project, options=Options(non_finite="null"))).complete
    assert math.isnan(export.value("SAN-1", "p", "float_value"))
    assert [repr(row["float_value"]) for row in export.rows("SAN-1", "m")] == ["nan", "1.0"]
    noted = "\n".join(export.notes("SAN-1"))
    assert "p: the server gave null" in noted
    assert "m: the server gave null for 1 values" in noted


def test_steps_and_times_as_the_server_has_them(serve: Serve, export: Exporter, project: FakeProject) -> None:
    steps = [0.1, 0.2, 0.2, -1.0, 1e12, 1_704_067_200_001.0, 1 / 3, 2.5]
    times = [1_698_539_400_000 + n * 1_800_000 + n for n in range(len(steps))]
    project.add_run(
        {
            "m": FloatSeries(range(len(steps)), steps, times),
            "s": StringSeries([f"line {n}" for n in range(len(steps))], steps, times),
        }
    )
    assert export(serve(project)).complete
    wanted = sorted(zip(steps, times, strict=True))
    for path in ("m", "s"):
        rows = export.rows("SAN-1", path)
        found = [
            (
                row.get("step_float64", float(row["step"])) if "step" in row else row["step_float64"],
                row["timestamp"],
            )
            for row in rows
        ]
        assert sorted((step, round(time.timestamp() * 1000)) for step, time in found) == wanted


def test_every_page_of_a_series(serve: Serve, export: Exporter, project: FakeProject) -> None:
    lengths = {"empty": 0, "one": 1, "page": 1000, "more": 1001, "long": 12_345}
    project.add_run({name: FloatSeries([float(n) for n in range(size)]) for name, size in lengths.items()})
    project.add_run({"log": StringSeries([f"line {n}" for n in range(2500)])})
    server = serve(project)
    assert export(server).complete
    for name, size in lengths.items():
        assert [row["float_value"] for row in export.rows("SAN-1", name)] == [float(n) for n in range(size)]
    assert [row["string_value"] for row in export.rows("SAN-2", "log")] == [f"line {n}" for n in range(2500)]
    pages = sum(r.path.endswith("/series/float") for r in server.requests)
    assert pages == 1 + 1 + 1 + 2 + 13


def test_halves_of_surrogate_pairs_cost_only_themselves(
    serve: Serve, export: Exporter, project: FakeProject
) -> None:
    project.add_run({"s": String("a\ud800b"), "log": StringSeries(["x\udc00", "\U0001f680"])})
    assert export(serve(project)).complete
    assert export.value("SAN-1", "s", "string_value") == "a\ufffdb"
    assert [row["string_value"] for row in export.rows("SAN-1", "log")] == ["x\ufffd", "\U0001f680"]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2024-01-01T00:00:00.5Z", 1_704_067_200_500),
        ("2024-01-01T00:00:00.123456789Z", 1_704_067_200_123),
        ("2024-01-01T01:00:00+01:00", 1_704_067_200_000),
        ("2023-12-31T18:30:00.001-0530", 1_704_067_200_001),
        ("2024-01-01T00:00:00", 1_704_067_200_000),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_times_of_the_wire(text: str, milliseconds: int) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert values.time_of(text) == epoch + timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01T00:00:00Z", "2024-01-01"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        values.time_of(text)


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("int", {"value": "many"}),
        ("int", {"value": 1.5}),
        ("int", {"value": 2**70}),
        ("bool", {"value": "true"}),
        ("string", {}),
        ("datetime", {"value": 5}),
        ("stringSet", {"values": "a"}),
        ("float", {"value": True}),
    ],
)
def test_a_value_of_another_type_is_an_error(kind: str, properties: dict[str, object]) -> None:
    attribute = values.Attribute.of_json({"name": "a", "type": kind, f"{kind}Properties": properties})
    with pytest.raises(ValueError, match=f"no {kind}"):
        _ = attribute.value


def test_an_attribute_without_a_readable_value_costs_itself(
    serve: Serve, export: Exporter, project: FakeProject
) -> None:
    project.add_run({"odd": Unknown("int", {"value": "many"}), "good": Int(1)})
    result = export(serve(project))
    (failure,) = result.failures
    assert (failure.attribute_path, failure.attribute_type) == ("odd", AttributeType.INT)
    assert "no int: 'many'" in failure.message
    assert export.value("SAN-1", "good", "int_value") == 1
