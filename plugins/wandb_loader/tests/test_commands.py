"""The commands as a user gives them: exit codes, and what stands on the last screen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from neptune_exporter.testing import old_layout
from neptune_exporter.testing.commands import CommandLine, preload

preload("neptune_exporter_wandb.loader")
SHAPE = old_layout.Shape(metrics=3, steps=200, parameters=5, lines=10, histograms=3, files=2)


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    """Runs in a folder with an export of two runs."""
    old_layout.standard(tmp_path / "exports/data", tmp_path / "exports/files", runs=2, shape=SHAPE)
    variables = {"NEPTUNE_EXPORTER_WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false"}
    return CommandLine(tmp_path, variables)


def test_loads_once_and_verifies(command_line: CommandLine, tmp_path: Path) -> None:
    first = command_line.run("load", "--loader=wandb")
    assert "2 runs loaded" in first.output
    assert "wandb sync" in first.output
    folders = {path: path.stat().st_mtime_ns for path in (tmp_path / "wandb").iterdir()}
    assert "2 were there already" in command_line.run("load", "--loader=wandb").output
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "wandb").iterdir()} == folders
    assert "everything is as it should be" in command_line.run("verify", "--loader=wandb", "--full").output


def test_several_processes_load_what_one_would(command_line: CommandLine, tmp_path: Path) -> None:
    """Each run once, by whichever process, and one line that says how to send all of them."""
    two = ("--executor=processes", "-j2")
    done = command_line.run("load", "--loader=wandb", *two)
    assert "2 runs loaded" in done.output
    assert done.output.count("wandb sync") == 1
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 2
    done = command_line.run("verify", "--loader=wandb", "--full")
    assert "everything is as it should be" in done.output
    assert "2 were there already" in command_line.run("load", "--loader=wandb", *two).output


def test_a_difference_ends_with_4(command_line: CommandLine, tmp_path: Path) -> None:
    command_line.run("load", "--loader=wandb")
    image = next((tmp_path / "wandb").glob("*/files/samples/*.png"))
    image.write_bytes(image.read_bytes() + b"x")
    command_line.run("verify", "--loader=wandb", expect=4)


def test_a_template_that_names_nothing_known_is_refused(command_line: CommandLine) -> None:
    done = command_line.run("load", "--loader=wandb", "--wandb-project={team}", expect=2)
    assert "{team}" in done.output


def test_another_project_is_loaded_anew(command_line: CommandLine, tmp_path: Path) -> None:
    command_line.run("load", "--loader=wandb")
    before = {path.name for path in (tmp_path / "wandb").iterdir()}
    assert "2 runs loaded" in command_line.run("load", "--loader=wandb", "--wandb-project=other").output
    after = {path.name for path in (tmp_path / "wandb").iterdir()}
    assert len(before) == len(after) == 2
    assert not before & after


def test_online_without_a_key_is_wrong_usage(command_line: CommandLine, tmp_path: Path) -> None:
    netrc = str(tmp_path / "netrc")
    done = command_line.run("load", "--loader=wandb", "--wandb-mode=online", expect=2, NETRC=netrc)
    assert "no API key for" in done.output


_HOOKED = """
import sys
class Finder:
    __module__ = "pluto._wandb_hook"
    def find_spec(self, name, path=None, target=None):
        assert name.partition(".")[0] != "wandb", "wandb was imported through the hook"
sys.meta_path.insert(0, finder := Finder())
from neptune_exporter.contract import LoadOptions
from neptune_exporter_wandb.plugin import make_sink
from neptune_exporter_wandb.settings import WandbSettings
make_sink(WandbSettings("offline"), LoadOptions())
assert sys.meta_path[0] is finder and "wandb" in sys.modules
"""


def test_the_hook_of_pluto_ml_does_not_see_the_import_of_wandb() -> None:
    """It would log to Pluto what is loaded into W&B, or print a hint that it could."""
    subprocess.run([sys.executable, "-c", _HOOKED], check=True, timeout=60)
