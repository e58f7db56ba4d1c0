"""What the machine lacks is one line: disk, memory, files, rights, paths; never an internal error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
from click.testing import Result

from neptune_exporter.system_errors import system_error

Run = Callable[..., Result]


def one_line(result: Result, code: int) -> str:
    assert result.exit_code == code, result.output
    line = result.stderr.removesuffix("\n")
    assert "\n" not in line and "internal error" not in line
    return line


ERRORS: dict[str, tuple[Exception, str]] = {
    "memory": (
        pa.ArrowMemoryError("malloc of size 1234567 failed"),
        "not enough memory (1,234,567 bytes more are needed): use fewer --workers (-j), or give",
    ),
    "numpy": (MemoryError("Unable to allocate 1.2 GiB for an array"), "(1.2 GiB more are needed)"),
    "files": (OSError(24, "Too many open files", "x"), "x: Too many open files: this process may open "),
    "disk": (
        OSError(28, "No space left on device", "/d/x"),
        "/d/x: No space left on device: free some space",
    ),
    "rights": (PermissionError(13, "Permission denied", "/d/x"), "/d/x: Permission denied"),
}


@pytest.mark.parametrize("case", ERRORS)
@pytest.mark.parametrize("command", ["export", "load"])
def test_errors_of_the_machine_are_no_internal_errors(
    case: str, command: str, run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    error, expected = ERRORS[case]
    assert run("export", "--exporter", "tracker").exit_code == 0
    module = {"export": "neptune_exporter.jobs.export", "load": "neptune_exporter.jobs.load"}[command]

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(f"{module}.{'find_projects' if command == 'export' else 'divide_runs'}", fail)
    option = "--exporter" if command == "export" else "--loader"
    assert expected in one_line(run(command, option, "tracker"), 1)


def test_what_is_not_of_the_machine_is_not_taken_for_it() -> None:
    assert system_error(ValueError("x")) is None
    assert system_error(RecursionError("x")) is None
    assert system_error(OSError("no errno")) is None


def test_one_run_that_finds_no_memory_is_named(run: Run, tracker: ModuleType) -> None:
    assert run("export", "--exporter", "tracker").exit_code == 0

    def load(run_: Any, parent: Any) -> None:
        raise pa.ArrowMemoryError("malloc of size 64 failed")

    tracker.sink.load = load
    result = run("load", "--loader", "tracker")
    assert result.exit_code == 1
    assert "not enough memory (64 bytes more are needed): use fewer --workers (-j)" in result.stdout
    assert "internal error" not in result.output


LONG = "a" * 5000


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "--exporter", "tracker", "-d", LONG],
        ["export", "--exporter", "tracker", "-f", LONG],
        ["export", "--exporter", "tracker", "--log-file", LONG],
        ["export", "--exporter", "tracker", "--config", LONG],
        ["export", "--exporter", "tracker", "--error-report-file", LONG],
        ["export", "--exporter", "tracker", "-r", f"@{LONG}"],
        ["summary", "-d", LONG],
        ["load", "--loader", "tracker", "-d", LONG],
        ["verify", "-d", LONG],
    ],
    ids=lambda arguments: " ".join(arguments).replace(LONG, "LONG"),
)
def test_a_path_that_is_too_long(arguments: list[str], run: Run, tracker: ModuleType) -> None:
    assert "File name too long" in one_line(run(*arguments), 2)


def test_a_log_file_on_a_full_disk_costs_no_job(run: Run, tracker: ModuleType) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    result = run("export", "--exporter", "tracker", "--log-file", "/dev/full")
    assert result.exit_code == 0
    assert result.stderr.count("\n") == 2  # the other names the executor
    assert "--log-file: /dev/full cannot be written: No space left on device" in result.stderr
    assert "written" in result.stdout


def denied(monkeypatch: pytest.MonkeyPatch, within: Path) -> None:
    """As for a user without rights: tests may run as root, whom no permission stops."""
    real_stat, real_text = Path.stat, Path.read_text

    def refused(path: Path) -> None:
        if path == within or within in path.parents:
            raise PermissionError(13, "Permission denied", str(path))

    def stat(self: Path, **given: Any) -> os.stat_result:
        refused(self.parent)
        return real_stat(self, **given)

    def read_text(self: Path, *given: Any, **more: Any) -> str:
        refused(self)
        return real_text(self, *given, **more)

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(Path, "read_text", read_text)


def test_a_home_that_may_not_be_read_is_a_warning(
    run: Run,
    tracker: ModuleType,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    denied(monkeypatch, folder.parent / "user")
    assert run("export", "--exporter", "tracker", "--dry-run").exit_code == 0
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "cannot be read: Permission denied: going on without it" in caplog.text


def test_a_configuration_file_that_may_not_be_read_is_an_error(
    run: Run, tracker: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "neptune-exporter.toml"
    path.write_text("")
    denied(monkeypatch, path)
    expected = f"error: the configuration file {path} cannot be read: Permission denied"
    assert one_line(run("export", "--exporter", "tracker"), 2) == expected


def test_a_receipt_nested_without_end(run: Run, tracker: ModuleType, folder: Path) -> None:
    assert run("export", "--exporter", "tracker").exit_code == 0
    (receipt, *_) = sorted((folder / "exports/data").rglob("*.receipt*"))
    receipt.write_text('{"a":' * 100_000)
    for command in (["summary"], ["verify"], ["load", "--loader", "tracker"]):
        result = run(*command)
        assert "internal error" not in result.output and "Traceback" not in result.output
        assert result.exit_code in (0, 1, 3, 4)
    assert "receipt" in run("verify").output


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_too_few_file_descriptors(run: Run, tracker: ModuleType, folder: Path) -> None:
    import resource
    import subprocess

    assert run("export", "--exporter", "tracker").exit_code == 0

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))

    command = [sys.executable, "-m", "neptune_exporter", "verify"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, preexec_fn=limit, cwd=folder, check=False
    )
    assert "internal error" not in done.stderr and "Traceback" not in done.stderr
