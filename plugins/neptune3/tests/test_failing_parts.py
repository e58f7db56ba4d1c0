"""A server that answers, but for one thing that fails for good: that costs this thing, and no more."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable

import pytest

from neptune_exporter.jobs.export import ExportResult
from neptune_exporter.testing.loopback import Fault, Request, Response
from neptune_exporter_neptune3_server import (
    FLOATS_PATH,
    SERIES_PATH,
    SIGN_PATH,
    STORAGE_PATH,
    VALUES_PATH,
    FakeFile,
    FakeProject,
    FakeRun,
    FloatSeries,
    Neptune3Server,
    StringSeries,
)

from .conftest import PROJECT, Exporting

RUNS = [f"r{n}" for n in range(6)]
IMPATIENT = {"retry_seconds": 0.05}


def project() -> FakeProject:
    return FakeProject(
        PROJECT,
        [
            FakeRun(
                run_id,
                {
                    "lr": 0.1,
                    "m": FloatSeries([0, 1], [1, 2]),
                    "bad" if run_id == "r3" else "ok": FloatSeries([0, 1], [3, 4]),
                    "s": StringSeries([0], ["x"]),
                    "f": FakeFile(b"abc"),
                },
            )
            for run_id in RUNS
        ],
    )


def refuse(server: Neptune3Server, path: str, text: bytes, status: int) -> None:
    """Have the server answer with this status to each request of a path whose body holds the text."""
    handle = server.handle

    def answer(request: Request) -> Response:
        if request.path != path:
            return handle(request)
        body = request.body()
        if text in body:
            return Response.of_json({"message": "no"}, status)
        return handle(dataclasses.replace(request, stream=io.BytesIO(body), _consumed=False))  # type: ignore[arg-type]

    server.handle = answer  # type: ignore[method-assign]


def failed(result: ExportResult) -> set[tuple[str, str]]:
    return {(failure.run.run_id, failure.attribute_path) for failure in result.failures}


def exported(export: Exporting) -> list[str]:
    return sorted(run.key.run_id for run in export.dataset.runs())


@pytest.mark.parametrize("status", [400, 500, 502, 504])
def test_one_metric_costs_itself(exporting: Callable[..., Exporting], status: int) -> None:
    export = exporting(project())
    refuse(export.server, FLOATS_PATH, b'"bad"', status)
    result = export(settings=IMPATIENT)
    assert failed(result) == {("r3", "bad")} and f"HTTP {status}" in result.failures[0].message
    assert exported(export) == RUNS
    assert export.values("r3", "m", "float_value") == [1, 2]
    again = export(settings=IMPATIENT)
    assert failed(again) == {("r3", "bad")} and again.projects[0].up_to_date == 5


@pytest.mark.parametrize(("path", "attribute"), [(SERIES_PATH, "s"), (SIGN_PATH, "f")])
def test_a_service_that_is_down_costs_what_it_serves(
    exporting: Callable[..., Exporting], path: str, attribute: str
) -> None:
    export = exporting(project())
    export.server.fail(Fault(path=f"^{path}$", status=503, times=10_000))
    result = export(settings=IMPATIENT)
    assert failed(result) == {(run_id, attribute) for run_id in RUNS}
    assert exported(export) == RUNS and export.values("r0", "m", "float_value") == [1, 2]


@pytest.mark.parametrize("status", [400, 500, 503])
def test_a_run_whose_attributes_are_refused_costs_itself(
    exporting: Callable[..., Exporting], status: int
) -> None:
    export = exporting(project())
    refuse(export.server, VALUES_PATH, b"RUN-4", status)
    result = export(settings=IMPATIENT)
    assert failed(result) == {("r3", "")} and result.projects[0].failed_runs == 1
    assert exported(export) == [run_id for run_id in RUNS if run_id != "r3"]
    (failure,) = result.failures
    assert (failure.attempts > 1) == (status != 400)


def test_a_server_that_is_away_is_not_asked_for_each_thing(exporting: Callable[..., Exporting]) -> None:
    export = exporting(project())
    export.server.fail(Fault(status=503, skip=4, times=9_999))  # the listing is answered, and then nothing
    result = export(settings=IMPATIENT)
    assert failed(result) == {(run_id, "") for run_id in RUNS} and exported(export) == []
    assert len(export.server.requests) < 30


def asked(export: Exporting, path: str) -> int:
    return sum(request.path == path for request in export.server.requests)


def many(count: int) -> FakeProject:
    return FakeProject(
        PROJECT,
        [FakeRun(f"r{n}", {"m": FloatSeries([0, 1], [1, 2])}, sys_id=f"RUN-{n + 1}") for n in range(count)],
    )


@pytest.mark.parametrize("status", [429, 503])
def test_attributes_that_fail_for_every_run_are_not_waited_for_at_each(
    exporting: Callable[..., Exporting], status: int
) -> None:
    export = exporting(many(64))
    export.server.fail(Fault(path=f"^{VALUES_PATH}$", status=status, times=10_000))
    result = export(settings={"retry_seconds": 0.5})  # two or three attempts
    assert failed(result) == {(f"r{n}", "") for n in range(64)} and result.projects[0].failed_runs == 64
    assert {failure.message for failure in result.failures} == {f"HTTP {status}"}
    # 8 groups and 64 runs are tried once, but for those before three have failed in each of 4 workers.
    assert 72 <= asked(export, VALUES_PATH) < 72 + 40
    export.server.faults.clear()
    assert export().complete


def test_runs_behind_several_whose_attributes_are_refused_are_read(
    exporting: Callable[..., Exporting],
) -> None:
    export = exporting(many(8))
    handle = export.server.handle

    def answer(request: Request) -> Response:
        if request.path != VALUES_PATH:
            return handle(request)
        body = request.body()
        if any(f'RUN-{n}"'.encode() in body for n in range(1, 7)):
            return Response.of_json({"message": "no"}, 503)
        return handle(dataclasses.replace(request, stream=io.BytesIO(body), _consumed=False))  # type: ignore[arg-type]

    export.server.handle = answer  # type: ignore[method-assign]
    result = export(settings=IMPATIENT)
    assert failed(result) == {(f"r{n}", "") for n in range(6)}
    assert exported(export) == ["r6", "r7"]


def test_a_store_that_fails_for_every_file_is_not_waited_for_at_each(
    exporting: Callable[..., Exporting],
) -> None:
    files = {f"f{n}": FakeFile(b"abc") for n in range(60)}
    export = exporting(FakeProject(PROJECT, [FakeRun("r0", files)]))
    export.server.fail(Fault(path=STORAGE_PATH, status=503, times=10_000))
    result = export(settings={"retry_seconds": 0.5, "connections": 1})
    assert failed(result) == {("r0", path) for path in files} and exported(export) == ["r0"]
    assert sum(STORAGE_PATH in request.path for request in export.server.requests) < 60 + 20
