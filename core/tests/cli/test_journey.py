"""Every command carried out for real: into a dataset on disk and out of it. Results, exit codes, reports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import Result

from neptune_exporter.contract import AuthenticationError, Comparison, LoadedRun, Loss, Verdict
from neptune_exporter.model import RunKey, RunKind

Run = Callable[..., Result]
RUN_1, RUN_10 = RunKey("acme/vision", "RUN-1"), RunKey("acme/vision", "RUN-10")
EXPORT = ("export", "--exporter", "tracker")
LOAD = ("load", "--loader", "tracker")


def document(result: Result) -> Any:
    return json.loads(result.stdout, parse_constant=pytest.fail)


def exported_ids(run: Run, *arguments: str) -> list[str]:
    return [
        plan["key"]["run_id"] for plan in document(run(*EXPORT, *arguments, "--dry-run", "--json"))["planned"]
    ]


def date_all(tracker: ModuleType) -> None:
    for key in (RUN_1, RUN_10, RunKey("acme/text", "EXP-2")):
        tracker.source.touch(key, datetime(2024, 5, 1, tzinfo=timezone.utc))


def test_export_tells_what_it_did_and_a_second_one_does_nothing(run: Run, tracker: ModuleType) -> None:
    date_all(tracker)
    result = run(*EXPORT)
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()[1:3]] == [
        ["acme/text", "1", "1", "0", "0"],
        ["acme/vision", "2", "2", "0", "0"],
    ]
    assert "39 rows, 3 files (21 B) written" in result.stdout
    again = document(run(*EXPORT, "--json"))
    assert again["complete"] is True
    assert [(p["exported"], p["up_to_date"]) for p in again["projects"]] == [(0, 1), (0, 2)]
    assert (again["rows"], again["failures"], again["error_report"], again["exit_code"]) == (0, [], None, 0)
    assert sorted(p.name for p in Path("exports").iterdir()) == ["data", "files"]


def test_which_runs_are_taken(
    run: Run, tracker: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    date_all(tracker)
    (folder / "ids.txt").write_text("RUN-10\r\n\nEXP-2\n")
    assert exported_ids(run) == ["EXP-2", "RUN-1", "RUN-10"]
    assert exported_ids(run, "-r", "RUN-1") == ["RUN-1"]  # whole ids
    assert exported_ids(run, "-r", "RUN-.*", "-r", "EXP-2") == ["EXP-2", "RUN-1", "RUN-10"]
    assert exported_ids(run, "-r", "@ids.txt") == ["EXP-2", "RUN-10"]
    assert exported_ids(run, "-p", "acme/text") == ["EXP-2"]
    assert exported_ids(run, "-p", "acme/vision, acme/text", "-r", "[ER].*2") == ["EXP-2"]
    assert exported_ids(run, "--workspace", "acme", "--project-pattern", "^vis") == ["RUN-1", "RUN-10"]
    assert exported_ids(run, "--project-exclude-pattern", "vision") == ["EXP-2"]
    assert exported_ids(run, "--modified-since", "2024-05-02T00:00:00Z") == []
    assert exported_ids(run, "--modified-until", "1d") == ["EXP-2", "RUN-1", "RUN-10"]
    # The variable is for exporters that need a project.
    monkeypatch.setenv("NEPTUNE_PROJECT", "acme/text,acme/vision")
    plain = document(run("export", "--exporter", "plain", "--dry-run", "--json"))
    assert [p["project_id"] for p in plain["projects"]] == ["acme/text", "acme/vision"]
    assert exported_ids(run) == ["EXP-2", "RUN-1", "RUN-10"]


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        (["-a", "l"], {"train/loss", "lr", "model"}),
        (["-a", "lr", "-a", "model"], {"lr", "model"}),
        (["-c", "metrics"], {"train/loss"}),
        (["-c", "metrics,files"], {"train/loss", "model"}),
        (["-c", "metrics", "-c", "files"], {"train/loss", "model"}),
        (["--exclude", "parameters"], {"train/loss", "model"}),
    ],
)
def test_which_attributes_are_taken(
    arguments: list[str], paths: set[str], run: Run, tracker: ModuleType
) -> None:
    assert run(*EXPORT, "-r", "RUN-1", *arguments).exit_code == 0
    assert {path for _, path in tracker.source.reads} == paths


def test_a_failed_attribute_is_told_reported_and_asked_for_again(run: Run, tracker: ModuleType) -> None:
    date_all(tracker)
    tracker.source.fail_attribute(RUN_1, "lr", times=1)
    result = run(*EXPORT, "--error-report-file", "reports/errors.jsonl")
    assert result.exit_code == 3
    assert result.stdout.endswith(
        "Run the same command again once the cause is gone: it asks only for what failed.\n"
    )
    assert "acme/vision:RUN-1 lr: lr: HTTP 500" in result.stdout
    (line,) = Path("reports/errors.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert datetime.fromisoformat(record.pop("time")).tzinfo is not None
    assert record == {
        "project": "acme/vision",
        "run": "RUN-1",
        "kind": "run",
        "attribute": "lr",
        "type": "float",
        "message": "lr: HTTP 500",
        "attempts": 3,
        "permanent": False,
    }
    tracker.source.reads.clear()
    assert run(*EXPORT, "--error-report-file", "reports/errors.jsonl").exit_code == 0
    assert tracker.source.reads == [(RUN_1, "lr")]
    assert Path("reports/errors.jsonl").read_text() == ""  # asked for, so it is there: nothing failed


def test_what_is_lost_for_good_is_told_by_every_export(run: Run, tracker: ModuleType) -> None:
    key = tracker.a_run("RUN-1").key
    tracker.source.touch(key, datetime(2024, 5, 1, tzinfo=timezone.utc))
    tracker.source.fail_attribute(key, "model", permanent=True)
    one = (*EXPORT, "-r", "RUN-1")
    first = run(*one)
    why = "model: HTTP 500 (not tried again until the run changes, or with --force)"
    assert (first.exit_code, why in first.stdout) == (3, True)
    again = run(*one)
    assert again.exit_code == 3
    assert again.stdout.endswith(
        "Permanently unavailable (reported by an earlier export):\n"
        "  acme/vision:RUN-1 model: model: HTTP 500\n"
        "They are read again only if their runs change, or with --force.\n"
    )
    assert "run the same command again" not in first.stdout + again.stdout
    assert run(*one, "-c", "parameters").exit_code == 0


def test_errors_are_reported_beside_the_data_if_nobody_said_where(run: Run, tracker: ModuleType) -> None:
    tracker.source.fail_attribute(RUN_1, "lr", times=1)
    told = document(run(*EXPORT, "--json"))
    assert told["exit_code"] == 3
    (report,) = Path("exports").glob("errors-*.jsonl")
    assert Path(told["error_report"]) == report.absolute()
    assert json.loads(report.read_text())["attribute"] == "lr"


def test_a_failing_project_does_not_stop_the_others(run: Run, tracker: ModuleType) -> None:
    tracker.source.fail_project("acme/text", times=1)
    result = run(*EXPORT)
    assert result.exit_code == 3
    assert "acme/text: project acme/text: HTTP 500" in result.stdout
    (report,) = Path("exports").glob("errors-*.jsonl")
    record = json.loads(report.read_text())
    assert (record["project"], record["run"], record["attribute"]) == ("acme/text", None, None)


def test_nothing_at_all_is_a_failure(run: Run, tracker: ModuleType) -> None:
    tracker.source.fail_project("acme/text")
    assert run(*EXPORT, "-p", "acme/text").exit_code == 1


def test_refused_credentials_end_it_with_one_line(run: Run, tracker: ModuleType) -> None:
    tracker.source.refuse_credentials()
    result = run(*EXPORT)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: the API token was refused\n"


def test_models_are_exported_beside_the_runs(run: Run, tracker: ModuleType) -> None:
    tracker.source.put(tracker.a_run("VIS-MOD", kind=RunKind.MODEL))
    tracker.source.put(tracker.a_run("VIS-MOD-1", kind=RunKind.MODEL_VERSION))
    assert run("export-models", "--exporter", "tracker", "-p", "acme/vision").exit_code == 0
    assert run(*EXPORT, "-p", "acme/vision").exit_code == 0
    (project,) = document(run("summary", "--json"))["projects"]
    kinds = {r["run_id"]: r["kind"] for r in project["runs"]}
    assert kinds == {"RUN-1": "run", "RUN-10": "run", "VIS-MOD": "model", "VIS-MOD-1": "model_version"}
    only = document(
        run("export-models", "--exporter", "tracker", "--models", "VIS-MOD", "--dry-run", "--json")
    )
    assert [p["key"]["run_id"] for p in only["planned"]] == ["VIS-MOD"]


def test_projects(run: Run, tracker: ModuleType) -> None:
    assert run("projects", "--exporter", "tracker").stdout == "acme/text\nacme/vision\n"
    found = document(run("projects", "--exporter", "tracker", "--project-pattern", "t.xt", "--json"))
    assert found["projects"] == ["acme/text"]
    assert run("projects", "--exporter", "tracker", "--workspace", "nobody").exit_code == 2


def test_summary(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    assert "acme/vision: 2 runs" in run("summary").stdout
    totals = document(run("summary", "--reporter", "json", "-p", "acme/vision", "-r", "RUN-1"))["totals"]
    assert (totals["projects"], totals["runs"], totals["rows"]) == (1, 1, 13)
    result = run("summary", "-p", "acme/nowhere")
    message = "error: the dataset has no project acme/nowhere; it has acme/text, acme/vision\n"
    assert (result.exit_code, result.stderr) == (2, message)
    assert run("summary", "--json", "-o", "summary.json").stdout == ""
    assert json.loads(Path("summary.json").read_text())["totals"]["runs"] == 3


def test_load_says_what_arrived_and_sends_nothing_twice(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    result = run(*LOAD, "--name-prefix", "old ", "--step-multiplier", "0.1", "-p", "acme/vision")
    assert result.exit_code == 0
    assert "2 runs loaded" in result.stdout
    assert "compared with the target: = 8 equal\n" in result.stdout
    _, options = tracker.made[-1]
    assert (options.name_prefix, options.step_multiplier) == ("old ", Decimal("0.1"))
    again = document(run(*LOAD, "--json"))
    assert [r["run"]["run_id"] for r in again["loaded"]] == ["EXP-2"]
    assert sorted(r["run"]["run_id"] for r in again["already_loaded"]) == ["RUN-1", "RUN-10"]
    assert again["complete"] is True
    assert again["counts"]["points"] == 10


def lossy(tracker: ModuleType, *losses: Loss) -> None:
    load = tracker.sink.load

    def with_losses(run: Any, parent: Any) -> LoadedRun:
        loaded = load(run, parent)
        return LoadedRun(loaded.target_id, losses=[loss for loss in losses if loss.run == run.key])

    tracker.sink.load = with_losses


def test_losses_are_one_table_a_file_and_exit_code_3(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    why = "Pluto takes no negative steps; they stay in the dataset"
    lossy(
        tracker,
        Loss(RUN_1, "negative-step", why, 3, "train/loss"),
        Loss(RUN_10, "negative-step", why, 4, "train/loss"),
        Loss(RUN_10, "log-every", "every 50th point was asked for", 1_000, "train/loss", requested=True),
    )
    result = run(*LOAD)
    assert result.exit_code == 3
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("negative-step")]
    assert line.split()[:4] == ["negative-step", "2", "2", "7"]
    assert line.endswith(why)
    assert sorted(p.name for p in Path("exports").iterdir()) == ["data", "files"]  # which may be read-only
    (report,) = Path().glob("losses-*.jsonl")
    records = [json.loads(line) for line in report.read_text().splitlines()]
    assert sorted((r["run"]["run_id"], r["reason"], r["count"]) for r in records) == [
        ("RUN-1", "negative-step", 3),
        ("RUN-10", "log-every", 1_000),
        ("RUN-10", "negative-step", 4),
    ]


def test_what_was_asked_to_be_dropped_is_no_failure(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    lossy(tracker, Loss(RUN_1, "log-every", "every 50th point was asked for", 9, requested=True))
    result = run(*LOAD, "--loss-report", "losses.jsonl")
    assert result.exit_code == 0
    assert "(as asked for)" in result.stdout
    assert json.loads(Path("losses.jsonl").read_text())["requested"] is True


def test_a_report_that_cannot_be_written_is_told_before_the_job(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    tracker.source.reads.clear()
    Path("taken").write_text("a file where a folder should be")
    for arguments in (
        (*EXPORT, "--force", "--error-report-file", "taken/errors.jsonl"),
        (*LOAD, "--loss-report", "taken/losses.jsonl"),
    ):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{arguments[-2]}: {Path(arguments[-1])} cannot be written: " in result.stderr
    assert (tracker.source.reads, tracker.target.runs) == ([], {})


def test_a_default_report_that_cannot_be_written_costs_no_result(
    run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neptune_exporter.cli.output.report_name", lambda what: "x" * 300)
    tracker.source.fail_attribute(RUN_1, "lr")
    result = run(*EXPORT, "--json")
    assert result.exit_code == 3
    told = document(result)
    assert (len(told["failures"]), told["error_report"]) == (1, None)
    assert "cannot be written" in result.stderr


def test_a_run_that_does_not_arrive(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    tracker.sink.fail_run(RUN_1)
    result = run(*LOAD)
    assert result.exit_code == 3
    assert "2 runs loaded, 1 failed" in result.stdout
    assert "\n  acme/vision:RUN-1: the target answered HTTP 503\n" in result.stdout
    assert run(*LOAD).exit_code == 0
    tracker.sink.fail_run(RUN_1, times=9)
    tracker.target.runs.clear()
    assert run(*LOAD, "-r", "RUN-1").exit_code == 1
    tracker.sink.fail_run(RUN_1, AuthenticationError("the API key was refused"))
    result = run(*LOAD, "-r", "RUN-1")
    assert (result.exit_code, result.stderr.splitlines()) == (
        1,
        ["executor: threads, 1 at once (few runs)", "error: the API key was refused"],
    )


def test_a_target_that_differs_is_exit_code_4(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    assert run(*LOAD).exit_code == 0
    assert run("verify", "--loader", "tracker", "--full").exit_code == 0
    stored = tracker.target.runs[RUN_10]
    stored.rows = [row for row in stored.rows if row.path != "lr"]
    result = run("verify", "--loader", "tracker")
    assert result.exit_code == 4
    assert "- acme/vision:RUN-10 lr: missing in the target" in result.stdout.splitlines()
    assert "3 runs compared: = 11 equal, - 1 missing in the target" in result.stdout
    found = document(run("verify", "--loader", "tracker", "--json"))
    assert (found["whole"], found["exit_code"], found["runs_checked"]) == (False, 4, 3)
    assert found["verdicts"] == {"=": 11, "-": 1}
    assert [(c["item"], c["verdict"]) for c in found["comparisons"]] == [("lr", "-")]
    told = document(run("-v", "verify", "--loader", "tracker", "--json"))
    assert sum(c["verdict"] == "=" for c in told["comparisons"]) == 11
    tracker.target.runs.pop(RUN_1)
    result = run("verify", "--loader", "tracker", "-r", "RUN-1")
    assert result.exit_code == 1
    assert "not in the target; load it first" in result.stdout


def test_load_ends_with_a_check_unless_told_not_to(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)

    def differs(stored: Any, *, full: bool = False) -> Any:
        yield Comparison(stored.key, "points of train/loss", Verdict.DIFFERENT, "10", "9")

    tracker.sink.verify = differs
    result = run(*LOAD)
    assert result.exit_code == 4
    assert "* acme/vision:RUN-1 points of train/loss: expected 10, found 9" in result.stdout
    tracker.target.runs.clear()
    assert run(*LOAD, "--no-verify").exit_code == 0


def test_a_damaged_dataset_is_exit_code_4(run: Run, tracker: ModuleType) -> None:
    run(*EXPORT)
    whole = run("verify")
    assert (whole.exit_code, whole.stdout.splitlines()[-1]) == (0, "everything is as it should be")
    (part,) = Path("exports/data").glob("*/RUN-1-*_part_0.parquet")
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    result = run("verify")
    assert result.exit_code == 4
    lines = [line for line in result.stdout.splitlines() if part.name in line]
    assert lines, result.stdout
    assert all(line.startswith("damage: acme/vision:RUN-1: ") for line in lines), lines
    found = document(run("verify", "--json"))
    assert found["whole"] is False
    assert any(f["is_damage"] for f in found["findings"])
    assert run("verify", "-p", "acme/text").exit_code == 0


def test_a_selection_that_takes_nothing_is_told(run: Run, tracker: ModuleType) -> None:
    assert run(*EXPORT, "-r", "RUN-2").stderr.startswith("error: -r: no run matches RUN-2; did you mean RUN-")
    run(*EXPORT)
    for command in (LOAD, ("summary",), ("verify",), ("verify", "--loader", "tracker")):
        result = run(*command, "-r", "RUN-2")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "no run of the dataset at exports/data matches these options; " in result.stderr
    assert run(*LOAD, "-r", "RUM-1").stderr.endswith("; did you mean RUN-1 or RUN-10?\n")
    message = "the dataset has no project acme/visoin; did you mean acme/vision?\n"
    assert run(*LOAD, "-p", "acme/visoin").stderr.endswith(message)


def test_the_module_is_the_same_program(tracker: ModuleType, folder: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "neptune_exporter", "export", "--exporter", "nobody"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: there is no exporter nobody; available: ")
    assert result.stderr.count("\n") == 1
