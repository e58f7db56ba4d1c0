"""The tool itself, in processes of its own, as a person would use it against a Neptune 2 server."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from neptune_exporter.dataset import Dataset
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter_neptune2_server import (
    Artifact,
    ArtifactFile,
    FakeProject,
    Fault,
    File,
    FloatSeries,
    Int,
    Neptune2Server,
    String,
    on_attribute,
)

from .conftest import Serve

FROM = ("--exporter", "neptune2", "-p", "team/cats")
EXPORT = ("export", *FROM)
MODELS = ("export-models", *FROM)


@pytest.fixture
def project() -> FakeProject:
    project = FakeProject("team", "cats")
    for number in range(4):
        run = project.add_run({"n": Int(number), "m": FloatSeries([1.0, number])})
        run.touch(datetime(2024, 5, 1 + number, tzinfo=timezone.utc))
    model = project.add_model("MOD", {"framework": String("torch"), "card": File(b"md", "md")})
    project.add_model_version(model, {"n": Int(1)})
    project.add_model("JAX", {"framework": String("jax")})
    project.add_model("OLD", {"framework": String("torch")}, trashed=True)
    return project


@pytest.fixture
def server(serve: Serve, project: FakeProject) -> Neptune2Server:
    return serve(project, FakeProject("team", "dogs"), FakeProject("zoo", "cats"))


@pytest.fixture
def command(server: Neptune2Server, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, server.environment | {"NEPTUNE_API_TOKEN": server.tokens.api_token})


def exported(command: CommandLine) -> dict[tuple[str, str], set[str]]:
    """The paths that were exported of each run, by its kind and id."""
    dataset = Dataset(command.folder / "exports/data", command.folder / "exports/files")
    return {
        (run.key.kind.value, run.key.run_id): {
            path for batch in run.batches() for path in batch.column("attribute_path").to_pylist()
        }
        for run in dataset.runs()
    }


def test_the_registry_and_its_summary(command: CommandLine) -> None:
    command.run(*EXPORT, "-r", "SAN-[12]")
    torch = ("--models-query", 'framework:string = "torch"')
    command.run(*MODELS, *torch, "-c", "parameters", "-c", "files", "--exclude", "files")
    found = exported(command)
    assert {key for key in found if key[0] != "run"} == {("model", "SAN-MOD"), ("model_version", "SAN-MOD-1")}
    assert "framework" in found["model", "SAN-MOD"]
    assert "card" not in found["model", "SAN-MOD"]
    command.run(*MODELS, "--include-archived-models", "-a", "^(card|sys/trashed)$")
    found = exported(command)
    assert {"card", "framework"} <= found["model", "SAN-MOD"]
    assert found["model", "SAN-OLD"] == {"sys/trashed"}
    text = command.run("summary").output
    assert text.startswith("1 project, 2 runs, 3 models, 1 model version\n")
    for line in ("SAN-MOD (model) ", "SAN-MOD-1 (model_version) "):
        assert line in text
    command.run("verify")


def test_which_runs(command: CommandLine) -> None:
    (command.folder / "ids.txt").write_text("SAN-1\nSAN-4\n")
    command.run(*EXPORT, "-r", "@ids.txt", "--modified-since", "2024-05-02T00:00:00Z", "-a", "n", "-a", "m")
    assert exported(command) == {("run", "SAN-4"): {"n", "m"}}
    command.run(*EXPORT, "--runs-query", "n:int < 3", "--modified-until", "2024-05-02T00:00:00Z")
    assert exported(command).keys() == {("run", "SAN-1"), ("run", "SAN-4")}


def test_projects(command: CommandLine) -> None:
    projects = ("projects", "--exporter", "neptune2")
    assert command.run(*projects).output == "team/cats\nteam/dogs\nzoo/cats\n"
    taken = ("--workspace", "team", "--project-pattern", "s$", "--project-exclude-pattern", "^dog")
    assert command.run(*projects, *taken).output == "team/cats\n"
    command.run("export", "--exporter", "neptune2", *taken, "-c", "parameters")
    assert len(exported(command)) == 4


def test_a_failed_attribute_is_reported_reported_and_asked_for_again(
    server: Neptune2Server, command: CommandLine
) -> None:
    server.fail(Fault("/series/float", status=404, times=9, where=on_attribute("m")))
    output = command.run(*EXPORT, "-r", "SAN-1", expect=3).output
    assert "team/cats:SAN-1 m: HTTP 404" in output
    (report,) = (command.folder / "exports").glob("errors-*.jsonl")
    record = json.loads(report.read_text())
    assert datetime.fromisoformat(record.pop("time")).tzinfo is not None
    assert (record["project"], record["run"], record["attribute"], record["type"], record["attempts"]) == (
        "team/cats",
        "SAN-1",
        "m",
        "float_series",
        1,
    )
    assert "m" not in exported(command)["run", "SAN-1"]
    server.faults.clear()
    server.requests.clear()
    command.run(*EXPORT, "-r", "SAN-1")
    assert "m" in exported(command)["run", "SAN-1"]
    assert sum("/series/" in request.path for request in server.requests) == 1


def test_files_of_artifacts_on_request(command: CommandLine, project: FakeProject, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(b"1,2")
    project.find("SAN-1")["a"] = Artifact((ArtifactFile.local(data, "in/data.csv"),))
    command.run(*EXPORT, "-r", "SAN-1")
    assert "a/in/data.csv" not in exported(command)["run", "SAN-1"]
    command.run(*EXPORT, "-r", "SAN-1", "--force", "--neptune2-artifact-files")
    assert "a/in/data.csv" in exported(command)["run", "SAN-1"]


def test_a_wrong_token_is_one_line_and_exit_code_1(server: Neptune2Server, command: CommandLine) -> None:
    said = {"api_address": server.url, "api_url": server.url, "api_key": "of somebody else"}
    token = base64.b64encode(json.dumps(said).encode()).decode()
    output = command.run(*EXPORT, "--api-token", token, expect=1).output
    assert len(output.strip().splitlines()) == 1, output
    assert "the API token was refused" in output
    assert token not in output


def test_a_server_without_tls_is_not_taken_for_a_refusal(command: CommandLine) -> None:
    output = command.run(*EXPORT, expect=1, OAUTHLIB_INSECURE_TRANSPORT="").output
    assert "set OAUTHLIB_INSECURE_TRANSPORT=1" in output
    assert "refused" not in output


def test_json_is_all_that_is_written_without_a_terminal(command: CommandLine) -> None:
    """On stdout; what runs where is said on stderr."""
    done = command.run(*EXPORT, "--json")
    first, _, document = done.output.partition("\n")
    assert first.startswith("executor: ")
    assert json.loads(document)["projects"][0]["exported"] == 4
