"""`neptune-exporter view`: what is wrong gets one line."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from neptune_exporter.cli.app import app

EXISTING = Path(__file__).parents[3] / "tests/data/existing-export"
WHOLE = ("-d", str(EXISTING / "data"), "-f", str(EXISTING / "files"))


def refused(*arguments: str) -> str:
    """The one line that a wrong call gets."""
    result: Result = CliRunner().invoke(app, ["view", "--no-browser", *arguments])
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_no_dataset_and_a_wrong_folder_of_files(tmp_path: Path) -> None:
    assert "there is no dataset at" in refused("-d", str(tmp_path / "gone"))
    said = refused("-d", str(EXISTING / "data"), "-f", str(tmp_path / "gone"))
    assert "there is no folder of files at" in said


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(*WHOLE, "--port", str(port))
    assert f"cannot listen on 127.0.0.1:{port}" in said and "--port" in said


def test_the_command_is_listed_with_its_plugin() -> None:
    listed = json.loads(CliRunner().invoke(app, ["plugins", "list", "--json"]).stdout)
    (plugin,) = [each for each in listed["plugins"] if each["name"] == "explorer"]
    assert (plugin["status"], plugin["commands"]) == ("ok", ["view"])
    assert "view" in CliRunner().invoke(app, ["--help"]).stdout
    without = CliRunner().invoke(app, ["--no-plugins", "view"])
    assert without.exit_code == 2 and "there is no command view" in without.stderr


def test_a_folder_without_a_run_and_a_wrong_host(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert "holds no run" in refused("-d", str(tmp_path / "data"))
    assert f"is it --data-path {EXISTING / 'data'}?" in refused("-d", str(EXISTING))
    said = refused(*WHOLE, "--host", "no.such.host.invalid")
    assert "--host no.such.host.invalid is no address of this machine" in said


def test_the_default_folder_of_files_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has only the data may look at it, and is told."""
    monkeypatch.chdir(tmp_path)
    arguments = ["view", "--no-browser", *WHOLE[:2], "--host", "no.such.host.invalid"]
    warning, error = CliRunner().invoke(app, arguments).stderr.splitlines()
    assert warning.startswith(
        "warning: there is no folder of files at exports/files, but the runs have files"
    )
    assert error.startswith("error: --host")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(number: int) -> None:
    command = [Path(sys.executable).with_name("neptune-exporter"), "view", "--no-browser"]
    command += ["-d", str(EXISTING / "data"), "-f", str(EXISTING / "files")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "Ctrl-C ends it" in process.stdout.readline()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")


def test_the_help_shows_options_as_they_are_written() -> None:
    assert "\n--data-path: NEPTUNE_EXPORTER_" in CliRunner().invoke(app, ["view", "--help"]).stdout
