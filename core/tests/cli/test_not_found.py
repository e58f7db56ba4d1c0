"""What was named and does not exist: one line that says so and what is near; 2 if nothing exists, else 3."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import Result

from neptune_exporter.contract import QueryError
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read.probing import Probed
from neptune_exporter.plugins import FOLDERS

Run = Callable[..., Result]
EXISTING = Path(__file__).parents[3] / "tests" / "data" / "existing-export"
EXPORT = ["export", "--exporter", "tracker"]


def takes_queries(tracker: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "capabilities", replace(tracker.capabilities, runs_query=True))


def refuses_queries(tracker: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Iterator[None]:
        raise QueryError("the server says: unexpected token")
        yield

    takes_queries(tracker, monkeypatch)
    monkeypatch.setattr(tracker.source, "runs", refuse)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-a", "train/lozz"], "-a: no attribute matches train/lozz; did you mean train/loss?"),
        (
            ["-a", "train/lozz", "-a", "zz"],
            "-a: no run has the attribute train/lozz; did you mean train/loss?; "
            "-a: no run has the attribute zz",
        ),
        (["-p", "acme/visoin"], "-p: there is no project acme/visoin; did you mean acme/vision?"),
        (["-r", "RUM-1"], "-r: no run matches RUM-1; did you mean RUN-1 or RUN-10?"),
        (["-q", "`lr` > 5"], "-q: no run matches `lr` > 5"),
    ],
)
def test_nothing_of_what_was_named_exists(
    arguments: list[str],
    expected: str,
    run: Run,
    tracker: ModuleType,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "-q" in arguments:
        takes_queries(tracker, monkeypatch)
        monkeypatch.setattr(tracker.source, "runs", lambda *_: iter(()))
    result = run(*EXPORT, *arguments, "--error-report-file", "errors.jsonl")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: {expected}\n"
    assert list(folder.iterdir()) == []


def test_folders_that_were_there_stay(run: Run, tracker: ModuleType, folder: Path) -> None:
    (folder / "exports").mkdir()
    (folder / "exports/notes.txt").touch()
    assert run(*EXPORT, "-a", "train/lozz").exit_code == 2
    assert list(folder.rglob("*")) == [folder / "exports", folder / "exports/notes.txt"]
    assert run(*EXPORT, "-a", "train/loss").exit_code == 0
    before = sorted(folder.rglob("*"))
    assert run(*EXPORT, "-a", "train/lozz").exit_code == 2
    assert sorted(folder.rglob("*")) == before


def test_a_query_of_models_is_named_by_its_option(
    run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses_queries(tracker, monkeypatch)
    command = ("export-models", "--exporter", "tracker", "-p", "acme/vision", "--models-query", "(((")
    for options in ((), ("--dry-run",)):
        result = run(*command, *options)
        assert result.exit_code == 2
        assert result.stderr == "error: --models-query: the server says: unexpected token\n"


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([], "there is none"),
        (["a/b"], "there is a/b"),
        (["a/b", "c/d"], "there is a/b and c/d"),
        (["a/b", "c/d", "e/f", "g/h"], "`neptune-exporter projects` lists those that there are"),
    ],
)
def test_the_few_projects_that_there_are_are_named(
    run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch, there: list[str], expected: str
) -> None:
    monkeypatch.setattr(tracker.source, "projects", lambda: there)
    result = run(*EXPORT, "-p", "other/thing")
    assert result.exit_code == 2
    assert f"error: -p: there is no project other/thing; {expected}\n" in result.stderr


def test_some_of_what_was_named_exists(run: Run, tracker: ModuleType, folder: Path) -> None:
    result = run(*EXPORT, "-p", "acme/visoin", "-p", "acme/text")
    assert result.exit_code == 3
    assert "\n-p: there is no project acme/visoin; did you mean acme/vision?\n" in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines()[:3]] == ["project", "acme/text", "13"]
    result = run(*EXPORT, "-p", "acme/text", "-a", "lr", "-a", "train/lozz", "--json")
    assert result.exit_code == 3
    not_found = json.loads(result.stdout)["not_found"]
    assert not_found == ["-a: no run has the attribute train/lozz; did you mean train/loss?"]
    assert not list(folder.rglob("*.jsonl"))


def test_a_name_that_few_runs_have_is_found(run: Run, tracker: ModuleType) -> None:
    names = [a.path for a in tracker.source._runs[next(iter(tracker.source._runs))].attributes]
    assert run(*EXPORT, *(part for name in names for part in ("-a", name))).exit_code == 0


def test_a_run_without_the_attributes_is_not_written_and_counted(run: Run, tracker: ModuleType) -> None:
    tracker.source.put(tracker.SampleRun(tracker.RunKey("acme/text", "EXP-3"), (tracker.parameter("x", 1),)))
    result = run(*EXPORT, "-p", "acme/text", "-a", "lr")
    assert result.exit_code == 0
    assert "1 run has none of these attributes, and so nothing was written" in result.stdout
    assert [key for key in run("summary", "--json").stdout.split('"') if key.startswith("EXP-")] == ["EXP-2"]
    assert run(*EXPORT).exit_code == 0
    assert '"EXP-3"' in run("summary", "--json").stdout


def test_attributes_of_runs_that_are_up_to_date_are_looked_for_in_the_dataset(
    run: Run, tracker: ModuleType
) -> None:
    assert run(*EXPORT).exit_code == 0
    assert run(*EXPORT, "-a", "train/loss").exit_code == 0
    result = run(*EXPORT, "-a", "train/lozz")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[1:] == [
        "error: -a: no attribute matches train/lozz; did you mean train/loss?"
    ]


def test_a_query_that_the_server_refuses(
    run: Run, tracker: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses_queries(tracker, monkeypatch)
    result = run(*EXPORT, "-p", "acme/vision", "-q", "(((")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: -q: the server says: unexpected token\n"
    assert not list(folder.rglob("*.jsonl"))


def test_that_nothing_changed_since_is_no_mistake(
    run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker.source, "runs", lambda *_: iter(()))
    result = run(*EXPORT, "-p", "acme/vision", "--modified-since", "2099-01-01")
    assert result.exit_code == 0
    assert result.stdout.endswith("No run matches these options.\n")


def test_what_an_empty_registry_lacks_are_models(run: Run, tracker: ModuleType) -> None:
    command = ("export-models", "--exporter", "tracker", "-p", "acme/vision")
    assert run(*command).stdout.endswith("No model or model version matches these options.\n")
    assert "error: -r: no model or model version matches M-1" in run(*command, "-r", "M-1").stderr


def test_ids_that_no_run_has_are_told(run: Run, tracker: ModuleType, folder: Path) -> None:
    (folder / "ids.txt").write_text("RUN-1\n" + "".join(f"RUN-2{n}\n" for n in range(7)))
    for options in ((), ("--dry-run",)):
        result = run(*EXPORT, "-r", "@ids.txt", *options)
        assert result.exit_code == 3
        ids = "RUN-20, RUN-21, RUN-22, RUN-23, RUN-24 and 2 more"
        assert f"-r: no run that matches these options has the id {ids}\n" in result.stdout
    one = run(*EXPORT, "-r", "RUN-1", "-r", "RUN-11")
    assert "has the id RUN-11; did you mean RUN-1?\n" in one.stdout
    nothing = run(*EXPORT, "-r", "RUN-2")
    assert (nothing.exit_code, nothing.stdout) == (2, "")
    assert nothing.stderr.startswith("error: -r: no run matches RUN-2; did you mean RUN-")
    assert run(*EXPORT, "-r", "RUN-2.*").exit_code == 2


@pytest.mark.parametrize("option", ["-p", "-r", "-a", "-q", "--workspace"])
def test_an_empty_option_does_not_mean_everything(
    option: str, run: Run, tracker: ModuleType, folder: Path
) -> None:
    """As from a variable of the shell that is not set."""
    result = run(*EXPORT, option, "")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: {option} is empty: name something, or leave it out for all\n"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", [("summary",), ("load", "--loader", "tracker"), ("verify",)])
def test_parts_of_other_tools_are_not_read_again_for_a_suggestion(
    run: Run, tracker: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Of 10,000 runs that took 12 s more, only to say that none matches."""
    shutil.copytree(EXISTING, folder / "e")
    read: list[str] = []
    take = Probed._take

    def counted(self: Probed, storage: Storage, path: str, *answer: Any) -> None:
        read.append(path)
        take(self, storage, path, *answer)

    monkeypatch.setattr(Probed, "_take", counted)
    result = run(*command, "-d", "e/data", "-f", "e/files", "-r", "run-z")
    assert result.exit_code == 2 and "matches these options; did you mean run-" in result.stderr
    assert read and len(read) == len(set(read))


def test_a_workspace_that_does_not_exist(run: Run, tracker: ModuleType) -> None:
    message = run(*EXPORT, "--workspace", "acne").stderr
    assert message == (
        "error: no project to export: --workspace: there is no workspace acne; did you mean acme?\n"
    )
    message = run(*EXPORT, "--project-pattern", "^x").stderr
    assert "there is acme/text, acme/vision, and the other options take none of them" in message


def test_the_folder_above_the_data_is_named_as_wrong_and_not_the_files(run: Run, tracker: ModuleType) -> None:
    assert run(*EXPORT).exit_code == 0
    for above in (".", "exports"):
        for command in ("summary", "verify"):
            result = run(command, "-d", above, "-f", "exports/files")
            assert result.exit_code == 2
            assert f"holds no run: is it --data-path {Path('exports/data')}?" in result.stderr


def test_an_option_of_a_plugin_that_is_not_installed(
    run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FOLDERS, "nowhere", "nowhere")
    for command in (("export",), EXPORT, ("load",)):
        result = run(*command, "--nowhere-path", "x")
        assert result.exit_code == 2
        assert result.stderr.startswith(
            "error: --nowhere-path is an option of the plugin nowhere, which is not installed; to add it, "
        )
