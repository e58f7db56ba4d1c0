"""The commands that a person gives, against a Neptune 3 server: what they take, say and leave."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from neptune_exporter.cli.app import app
from neptune_exporter.dataset import Dataset
from neptune_exporter.testing.loopback import Fault, Request, Response
from neptune_exporter_neptune3_server import (
    EXCHANGE_PATH,
    FLOATS_PATH,
    SERIES_PATH,
    VALUES_PATH,
    FakeFile,
    FakeProject,
    FakeRun,
    FloatSeries,
    Neptune3Server,
    StringSeries,
)

Run = Callable[..., Result]
Serve = Callable[..., Neptune3Server]
EXPORT = ("export", "--exporter", "neptune3")
NOW = datetime.now(timezone.utc).replace(microsecond=0)


def make_run(run_id: str, days_ago: int = 0, archived: bool = False) -> FakeRun:
    return FakeRun(
        run_id,
        {
            "lr": 0.1,
            "train/loss": FloatSeries([0, 1, 2], [1, 2, 3], previews=[False, False, True]),
            "val/loss": FloatSeries([0], [4]),
            "log": StringSeries([0], ["x"]),
            "model": FakeFile(b"weights"),
        },
        created=NOW - timedelta(days=90),
        modified=NOW - timedelta(days=days_ago),
        archived=archived,
    )


@pytest.fixture
def vision() -> FakeProject:
    runs = [make_run("RUN-1", 1), make_run("RUN-2", 5), make_run("RUN-10", 20), make_run("old", 2, True)]
    return FakeProject("acme/vision", runs, key="VIS")


@pytest.fixture
def server(serve: Serve, vision: FakeProject) -> Neptune3Server:
    closed = FakeProject("acme/closed", [], accessible=False)
    return serve(vision, FakeProject("acme/text", [make_run("EXP-1")]), closed)


@pytest.fixture
def run(server: Neptune3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a folder of its own, with the server's token in the environment."""
    import platformdirs

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: str(tmp_path / "user"))
    monkeypatch.delenv("NEPTUNE_PROJECT", raising=False)
    monkeypatch.setenv("NEPTUNE_API_TOKEN", server.api_token)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False)

    return invoke


def exported() -> dict[str, set[str]]:
    """The paths that the dataset has of each run, without those that Neptune adds."""
    found = {}
    for each in Dataset("exports/data", "exports/files").runs():
        paths = {path for batch in each.batches() for path in batch.column("attribute_path").to_pylist()}
        found[each.key.run_id] = {path for path in paths if not path.startswith("sys/")}
    return found


def count(server: Neptune3Server, path: str) -> int:
    return sum(each.path == path for each in server.requests)


VISION = ("-p", "acme/vision")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (VISION, ["RUN-1", "RUN-2", "RUN-10"]),
        ((*VISION, "-r", "RUN-1"), ["RUN-1"]),
        ((*VISION, "-r", "RUN-1."), ["RUN-10"]),
        ((*VISION, "-r", "RUN-1", "-r", "RUN-2"), ["RUN-1", "RUN-2"]),
        ((*VISION, "-r", "@ids.txt"), ["RUN-2", "RUN-10"]),
        ((*VISION, "-r", "@ids.txt", "-r", "RUN-1"), ["RUN-1", "RUN-2", "RUN-10"]),
        ((*VISION, "-p", "acme/text"), ["RUN-1", "RUN-2", "RUN-10", "EXP-1"]),
        (("-p", "acme/text,acme/vision", "-r", ".*1"), ["EXP-1", "RUN-1"]),
        ((*VISION, "--include-archived-runs"), ["RUN-1", "RUN-2", "RUN-10", "old"]),
        ((*VISION, "--modified-since", "7d"), ["RUN-1", "RUN-2"]),
        ((*VISION, "--modified-until", "36h"), ["RUN-2", "RUN-10"]),
        ((*VISION, "--modified-since", "7d", "--modified-until", "2d"), ["RUN-2"]),
        ((*VISION, "--modified-since", (NOW - timedelta(days=5)).isoformat()), ["RUN-1", "RUN-2"]),
        ((*VISION, "--modified-until", f"{NOW - timedelta(days=5):%Y-%m-%dT%H:%M:%SZ}"), ["RUN-10"]),
    ],
    ids=lambda given: " ".join(each for each in given if not each.startswith("20")),  # but for the times
)
def test_which_runs(run: Run, arguments: tuple[str, ...], expected: list[str]) -> None:
    Path("ids.txt").write_text("RUN-2\n\nRUN-10\nRUN-100\n")
    result = run(*EXPORT, *arguments, "--dry-run", "--json")
    report = json.loads(result.stdout)
    assert sorted(plan["key"]["run_id"] for plan in report["planned"]) == sorted(expected)
    unknown = ["RUN-100" for each in arguments if each == "@ids.txt"]
    assert (report["unknown_ids"], result.exit_code) == (unknown, 3 if unknown else 0), result.stderr


ALL = {"lr", "train/loss", "val/loss", "log", "model"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ALL),
        (("-a", "lo"), {"train/loss", "val/loss", "log"}),
        (("-a", "^val/|^lr$"), {"val/loss", "lr"}),
        (("-a", "train/loss", "-a", "log"), {"train/loss", "log"}),
        (("-c", "metrics"), {"train/loss", "val/loss"}),
        (("-c", "parameters,series"), {"lr", "log"}),
        (("-c", "files", "-c", "series", "--exclude", "series"), {"model"}),
        (("--exclude", "metrics", "--exclude", "files"), {"lr", "log"}),
        (("-a", "lo", "--exclude", "metrics"), {"log"}),
    ],
    ids=" ".join,
)
def test_which_attributes(run: Run, arguments: tuple[str, ...], expected: set[str]) -> None:
    result = run(*EXPORT, *VISION, "-r", "RUN-1", *arguments)
    assert result.exit_code == 0, result.stderr
    assert exported() == {"RUN-1": expected}


def test_run_again_it_fetches_what_is_missing_and_nothing_else(
    run: Run, server: Neptune3Server, vision: FakeProject
) -> None:
    def figures(*arguments: str) -> tuple[int, int, int]:
        server.requests.clear()
        report = json.loads(run(*EXPORT, *VISION, "-r", "RUN-.*", *arguments, "--json").stdout)
        (project,) = report["projects"]
        return project["exported"], project["up_to_date"], report["rows"]

    assert figures("-c", "files") == (3, 0, 3)
    assert figures("-a", "lr", "-a", "log") == (3, 0, 6)
    assert count(server, FLOATS_PATH) == 0
    assert figures()[:2] == (3, 0)
    assert exported() == {f"RUN-{n}": ALL for n in (1, 2, 10)}
    assert count(server, SERIES_PATH) == 0, "a log that was there was read again"
    assert figures() == (0, 3, 0)
    assert count(server, VALUES_PATH) == 0
    vision.runs[1] = replace(vision.runs[1], attributes={"lr": 0.5}, modified=NOW)
    assert figures()[:2] == (1, 2)
    assert exported()["RUN-2"] == {"lr"}
    assert figures("--force")[:2] == (3, 0)
    assert count(server, FLOATS_PATH) > 0


def test_a_failed_attribute_is_on_the_screen_in_the_report_and_fetched_next_time(
    run: Run, server: Neptune3Server
) -> None:
    fault = server.fail(Fault(path=f"^{SERIES_PATH}$", status=500, body=b'{"message": "no"}', times=1000))
    begun = datetime.now(timezone.utc)
    result = run(*EXPORT, *VISION, "-r", "RUN-1", "--neptune3-retry-seconds", "1")
    assert result.exit_code == 3
    assert "\nFailed:\n  acme/vision:RUN-1 log: HTTP 500, no\n" in result.stdout
    assert exported()["RUN-1"] == ALL - {"log"}
    (report,) = Path("exports").glob("errors-*.jsonl")
    assert f"error report: {report.absolute()}" in result.stdout
    (line,) = report.read_text().splitlines()
    record = json.loads(line)
    attempts, time = record.pop("attempts"), datetime.fromisoformat(record.pop("time"))
    assert attempts > 1
    receipt = Dataset("exports/data", "exports/files").folder(_key("RUN-1")).receipt
    assert receipt is not None
    assert begun < time < receipt.exported_at, "the time of the report, not of the failure"
    assert [(f.attribute_path, f.attempts, f.time) for f in receipt.failures] == [("log", attempts, time)]
    assert record == {
        "project": "acme/vision",
        "run": "RUN-1",
        "kind": "run",
        "attribute": "log",
        "type": "string_series",
        "message": "HTTP 500, no",
        "permanent": False,
    }
    server.faults.remove(fault)
    server.requests.clear()
    again = json.loads(run(*EXPORT, *VISION, "-r", "RUN-1", "--json").stdout)
    assert (again["rows"], again["complete"], again["exit_code"]) == (1, True, 0)
    assert (count(server, SERIES_PATH), count(server, FLOATS_PATH)) == (1, 0)
    assert exported()["RUN-1"] == ALL


def _key(run_id: str) -> Any:
    return next(r.key for r in Dataset("exports/data", "exports/files").runs() if r.key.run_id == run_id)


def test_a_failing_project_does_not_stop_the_others(run: Run) -> None:
    result = run(*EXPORT, "-p", "acme/closed", "-p", "acme/text", "-p", "acme/none")
    assert result.exit_code == 3
    assert exported() == {"EXP-1": ALL}
    for name in ("acme/closed", "acme/none"):
        assert f"-p: there is no project {name}; did you mean " in result.stdout
    assert run(*EXPORT, "-p", "acme/none").exit_code == 2


def test_previews_and_archived_runs_on_request(run: Run) -> None:
    def points() -> list[dict[str, Any]]:
        (found,) = (r for r in Dataset("exports/data", "exports/files").runs() if r.key.run_id == "RUN-1")
        rows = [row for batch in found.batches() for row in batch.to_pylist()]
        return [
            {name: value for name, value in row.items() if value is not None}
            for row in rows
            if row["attribute_path"] == "train/loss"
        ]

    assert run(*EXPORT, *VISION, "-r", "RUN-1").exit_code == 0
    assert [row["float_value"] for row in points()] == [1, 2]
    assert run(*EXPORT, *VISION, "--include-archived-runs", "--include-metric-previews").exit_code == 0
    assert [row["float_value"] for row in points()] == [1, 2, 3]
    committed, preview = points()[1:]
    assert committed.keys() == preview.keys(), "nothing says which is a preview, nor how complete it was"
    assert exported().keys() == {"RUN-1", "RUN-2", "RUN-10", "old"}


def of_somebody_else(server: Neptune3Server) -> str:
    said = {"api_address": server.url, "api_url": server.url, "api_key": "of somebody else"}
    return base64.b64encode(json.dumps(said).encode()).decode()


@pytest.mark.parametrize("command", [(*EXPORT, *VISION), ("projects", "--exporter", "neptune3")])
@pytest.mark.parametrize("readable", [True, False])
def test_a_wrong_token_is_one_line_and_exit_code_1_at_once(
    run: Run, server: Neptune3Server, command: tuple[str, ...], readable: bool
) -> None:
    token = of_somebody_else(server) if readable else "no-token-at-all"
    result = run(*command, "--api-token", token)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(
        "error: the API token " if readable else "error: this is not an API token"
    )
    assert result.stderr.count("\n") == 1
    assert token not in result.stderr
    assert {each.path for each in server.requests} <= {EXCHANGE_PATH}
    assert len(server.requests) <= 2, "it was tried again"
    assert not list(Path("exports/data/acme").rglob("*"))


@pytest.mark.parametrize("lifetime", [300.0, 10.0], ids=["refused by the server", "renewed by the client"])
def test_a_token_that_expires_beyond_renewal_ends_the_export_at_once(
    run: Run, server: Neptune3Server, lifetime: float
) -> None:
    server.tokens.lifetime = lifetime
    handle = server.handle
    since: list[str] = []

    def expiring(request: Request) -> Response:
        if request.path == FLOATS_PATH and not since:
            server.tokens.revoke_api_token()
            since.append("revoked")
        elif since:
            since.append(request.path)
        return handle(request)

    server.handle = expiring  # type: ignore[method-assign]
    result = run(*EXPORT, *VISION, "-p", "acme/text")
    assert (result.exit_code, result.stdout) == (1, "")
    *before, line = result.stderr.splitlines()
    assert line.startswith("error: the API token was refused")
    assert all(each.startswith("executor: ") for each in before)
    assert 1 < len(since) < 20, "it was tried again"
    assert [path for path in Path("exports").rglob("*") if ".tmp" in path.name] == []
    assert exported() == {}


def test_another_run_under_the_id_of_one_that_is_there_is_reported(run: Run, vision: FakeProject) -> None:
    assert run(*EXPORT, *VISION, "-r", "RUN-.*").exit_code == 0
    vision.runs[0] = replace(make_run("RUN-1"), attributes={"other": 1}, sys_id="VIS-9")
    failure = "RUN-1: not exported: the dataset holds another run with this id, VIS-1: not VIS-9; give it"
    for arguments in (("--dry-run",), ()):
        result = run(*EXPORT, *VISION, "-r", "RUN-.*", *arguments)
        assert result.exit_code == 3
        assert f"\nFailed:\n  acme/vision:{failure}" in result.stdout
        assert ("would read 0 of 3 runs; nothing was written" in result.stdout) == bool(arguments)
    assert exported()["RUN-1"] == ALL
    assert run(*EXPORT, *VISION, "-r", "RUN-1", "--force").exit_code == 0
    assert exported()["RUN-1"] == {"other"}
