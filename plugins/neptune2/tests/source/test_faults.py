"""Servers that are busy, away, broken or strict: what is tried again, what it costs, and what is said."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from neptune_exporter.contract import AuthenticationError, RunSelection, Secret, Source, SourceError
from neptune_exporter.model import AttributeType
from neptune_exporter.testing.reading import read_runs
from neptune_exporter_neptune2.plugin import make_source
from neptune_exporter_neptune2.settings import Neptune2Settings
from neptune_exporter_neptune2_server import (
    Attribute,
    FakeProject,
    Fault,
    FloatSeries,
    Int,
    Neptune2Server,
    on_attribute,
    token_expired,
)

from .conftest import Exporter, Serve, settings_for

SERIES = "/series/float"


@pytest.fixture
def project() -> FakeProject:
    project = FakeProject("team", "cats")
    for _ in range(2):
        attributes: dict[str, Attribute] = {f"m{n}": FloatSeries([1.0, 2.0]) for n in range(3)}
        project.add_run({**attributes, "n": Int(1)})
    return project


def asked(server: Neptune2Server, path: str) -> int:
    return sum(path in request.path for request in server.requests)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(SERIES, status=408),
        Fault(SERIES, status=429),
        Fault(SERIES, status=500),
        Fault(SERIES, status=502, body=b"<html>Bad Gateway</html>", content_type="text/html"),
        Fault(SERIES, status=503),
        Fault(SERIES, status=504),
        Fault(SERIES, drop=True),
        Fault(SERIES, cut_after=20),
        Fault(SERIES, status=200, body=b"<html>please log in</html>", content_type="text/html"),
        Fault(SERIES, status=200, body=b"{}"),
        Fault(SERIES, delay=3.0),
    ],
    ids=lambda fault: f"{fault.status or 'broken'} {fault.delay or ''}",
)
def test_what_passes_is_tried_again(
    serve: Serve, export: Exporter, project: FakeProject, fault: Fault
) -> None:
    server = serve(project)
    server.fail(fault)
    result = export(server, settings={"timeout": 1.0, "retry_seconds": 20})
    assert result.complete, result.failures
    assert len(export.rows("SAN-1", "m0")) == len(export.rows("SAN-2", "m2")) == 2


def test_retry_after_is_honoured(serve: Serve, connect: Callable[..., Source], project: FakeProject) -> None:
    server = serve(project)
    source = connect(server, retry_seconds=30)
    server.fail(Fault("/projects$", status=429, headers={"Retry-After": "1"}))
    server.requests.clear()
    source.projects()
    refused, answered = [r.at for r in server.requests if r.path.endswith("/projects")]
    assert answered - refused >= 1.0


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
def test_one_attribute_that_fails_for_good_costs_itself(
    serve: Serve, export: Exporter, project: FakeProject, status: int
) -> None:
    server = serve(project)
    server.fail(
        Fault(SERIES, status=status, body=b'{"message":"no\\nway"}', times=10**6, where=on_attribute("m1"))
    )
    result = export(server, settings={"retry_seconds": 2})
    assert {(f.run.run_id, f.attribute_path) for f in result.failures} == {("SAN-1", "m1"), ("SAN-2", "m1")}
    for failure in result.failures:
        assert failure.message.startswith(f"HTTP {status}, no way")
        assert failure.attribute_type is AttributeType.FLOAT_SERIES
        assert failure.attempts == (1 if status in (400, 403, 404) else failure.attempts)
        assert not failure.permanent
    assert result.projects[0].exported == 2
    assert len(export.rows("SAN-1", "m0")) == 2
    server.faults.clear()
    server.requests.clear()
    assert export(server).complete
    assert asked(server, SERIES) == 2  # just what had failed
    assert len(export.rows("SAN-2", "m1")) == 2


def test_an_answer_of_another_form_is_asked_for_just_a_few_times(
    serve: Serve, export: Exporter, project: FakeProject
) -> None:
    server = serve(project)
    server.fail(Fault(SERIES, status=200, body=b"{}", times=10**6, where=on_attribute("m1")))
    failures = export(server, settings={"retry_seconds": 300}).failures
    assert {f.attribute_path for f in failures} == {"m1"}
    assert [f.attempts for f in failures] == [5, 5]
    asked = "leaderboard/v1/attributes/series/float"
    assert failures[0].message.startswith(
        f"the answer of {server.url} to {asked} cannot be read (2 bytes that "
    )
    assert failures[0].message.endswith(", 5 times")


def test_a_page_that_lacks_points_is_a_failure(serve: Serve, export: Exporter, project: FakeProject) -> None:
    server = serve(project)
    body = b'{"totalItemCount": 5, "values": [{"timestampMillis": 1, "step": 0, "value": 1}]}'
    server.fail(Fault(SERIES, status=200, body=body, times=10**6, where=on_attribute("m1")))
    result = export(server)
    assert {f.attribute_path for f in result.failures} == {"m1"}
    assert "announced 5 points" in result.failures[0].message


def test_a_run_of_which_nothing_can_be_read_is_left_for_the_next_time(
    serve: Serve, export: Exporter, project: FakeProject
) -> None:
    server = serve(project)
    first = project.find("SAN-1").id
    server.fail(
        Fault("/v1/attributes$", status=404, times=99, where=lambda r: r.param("experimentId") == first)
    )
    result = export(server)
    assert [(p.exported, p.failed_runs) for p in result.projects] == [(1, 1)]
    (failure,) = result.failures
    assert (failure.run.run_id, failure.attribute_path) == ("SAN-1", "")
    assert "its attributes cannot be listed: HTTP 404" in failure.message
    assert {run.key.run_id for run in export.dataset.runs()} == {"SAN-2"}
    server.faults.clear()
    assert export(server).complete
    assert {run.key.run_id for run in export.dataset.runs()} == {"SAN-1", "SAN-2"}


@pytest.mark.parametrize("status", [403, 429])
def test_runs_of_which_nothing_can_be_read_are_asked_for_once_and_tell_each_its_own_reason(
    serve: Serve, connect: Callable[..., Source], export: Exporter, project: FakeProject, status: int
) -> None:
    for _ in range(22):
        project.add_run({"n": Int(1)})
    server = serve(project)
    listed = list(connect(server).runs("team/cats", RunSelection()))
    ids = [run.key.run_id for run in listed]
    good = {run.handle for run in listed[-2:]}  # behind all that fail
    server.fail(
        Fault(
            "/v1/attributes$",
            status=status,
            times=10**6,
            where=lambda request: request.param("experimentId") not in good,
        )
    )
    result = export(server, settings={"retry_seconds": 1}, workers=1)
    assert [f.run.run_id for f in result.failures] == ids[:-2]
    assert {f.message for f in result.failures} == {f"its attributes cannot be listed: HTTP {status}"}
    assert result.projects[0].failed_runs == 22
    attempts = [f.attempts for f in result.failures]
    assert attempts[3:] == [1] * 19 and (attempts[0] > 1) == (status == 429)
    assert sum(r.path.endswith("/v1/attributes") for r in server.requests) == sum(attempts) + 2
    assert {run.key.run_id for run in export.dataset.runs()} == set(ids[-2:])


def test_a_server_that_goes_away_is_not_waited_for_at_every_request(
    serve: Serve, export: Exporter, project: FakeProject
) -> None:
    for _ in range(20):
        project.add_run({f"m{n}": FloatSeries([1.0]) for n in range(5)})
    server = serve(project)
    server.fail(Fault(SERIES, drop=True, times=10**6))
    server.fail(Fault("/v1/attributes$", drop=True, times=10**6, skip=4))
    before = time.monotonic()
    result = export(server, settings={"retry_seconds": 3})
    took = time.monotonic() - before
    assert not result.complete
    assert took < 3 * 22  # three seconds for each run alone would take longer
    server.faults.clear()
    assert export(server).complete
    assert len(list(export.dataset.runs())) == 22


def test_expired_access_tokens_are_renewed_once_for_all_threads(
    serve: Serve, connect: Callable[..., Source], project: FakeProject
) -> None:
    server = serve(project)
    source = connect(server)
    listed = list(source.runs("team/cats", RunSelection()))
    issued = server.tokens.issued
    server.tokens.expire(after_requests=2)
    read = read_runs(source, listed, content=lambda _, content: content)
    assert (read.failures, len(read.done)) == ([], 2)
    assert server.tokens.issued == issued + 1
    assert sum(r.status == 401 for r in server.requests) >= 1


def test_many_expiries_in_the_middle(serve: Serve, export: Exporter, project: FakeProject) -> None:
    server = serve(project)
    server.tokens.lifetime = 20.0  # below what the client keeps in reserve: renewed for every request
    server.fail(token_expired())
    assert export(server).complete


def test_several_expiries_in_a_row_are_survived(serve: Serve, export: Exporter, project: FakeProject) -> None:
    """As behind a load balancer whose servers learn of a new session one after the other."""
    server = serve(project)
    server.fail(token_expired(3))
    assert export(server).complete
    server.fail(token_expired(2))
    assert export(server, force=True).complete, "it expires again later"


def test_new_access_tokens_that_are_all_refused_end_it_with_one_line(
    serve: Serve, export: Exporter, project: FakeProject
) -> None:
    server = serve(project)
    issued = server.tokens.issued
    server.fail(Fault(SERIES, status=401, body=token_expired().body, times=1000))
    with pytest.raises(AuthenticationError) as caught:
        export(server, workers=1)
    message = str(caught.value)
    assert "refuses access tokens as expired, also 5 that it has just issued" in message
    assert "\n" not in message and "NEPTUNE_API_TOKEN" in message
    assert server.tokens.issued >= issued + 5
    server.faults.clear()
    assert export(server).complete


def test_a_wrong_token_ends_it_at_once(serve: Serve, project: FakeProject) -> None:
    server, other = serve(project), Neptune2Server([project])
    wrong = server.tokens.api_token
    server.tokens.api_token = other.tokens.api_token
    other.stop()
    before = time.monotonic()
    with pytest.raises(AuthenticationError) as caught:
        make_source(Neptune2Settings(api_token=Secret(wrong)))
    assert time.monotonic() - before < 30
    assert "--api-token or NEPTUNE_API_TOKEN" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert wrong not in str(caught.value)


@pytest.mark.parametrize("token", ["", "not base64!", "bm90IGpzb24=", "e30="])
def test_a_token_that_is_none(token: str) -> None:
    with pytest.raises(AuthenticationError, match="NEPTUNE_API_TOKEN"):
        make_source(Neptune2Settings(api_token=Secret(token)))


def test_a_401_in_the_middle_ends_it_at_once_and_keeps_what_is_finished(
    serve: Serve, export: Exporter, project: FakeProject
) -> None:
    server = serve(project)
    second = project.find("SAN-2").id
    server.fail(Fault(SERIES, status=401, times=99, where=lambda r: r.param("experimentId") == second))
    with pytest.raises(AuthenticationError, match="the API token was refused"):
        export(server, workers=1)
    assert {run.key.run_id for run in export.dataset.runs()} <= {"SAN-1"}
    assert 1 <= sum(r.status == 401 for r in server.requests) <= 5
    server.faults.clear()
    assert export(server).complete


def test_a_revoked_token_ends_it(serve: Serve, export: Exporter, project: FakeProject) -> None:
    server = serve(project)
    source = make_source(settings_for(server))
    source.projects()
    server.tokens.expire()
    server.tokens.expire_refresh()
    server.tokens.api_token = "another"
    with pytest.raises(AuthenticationError):
        source.projects()
    source.close()


def test_a_project_that_may_not_be_read(
    serve: Serve, connect: Callable[..., Source], project: FakeProject
) -> None:
    server = serve(project)
    server.fail(Fault("/projects/get", status=403, times=9))
    with pytest.raises(SourceError, match=r"no project team/cats .* may not read it"):
        list(connect(server).runs("team/cats", RunSelection()))
    assert asked(server, "/projects/get") == 1


def test_closing_ends_what_waits(serve: Serve, project: FakeProject) -> None:
    server = serve(project)
    source = make_source(settings_for(server, retry_seconds=600))
    server.stop()
    source.close()
    with pytest.raises(SourceError, match="stopped"):
        source.projects()
