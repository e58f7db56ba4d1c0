"""What the tests that cross packages share: folders that the real clients wrote, and the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from neptune_exporter.testing.commands import CommandLine, clean_environment, preload

CLIENT = Path(__file__).parent / "clients" / "log_offline.py"
PROJECT = "acme/crash"
preload("neptune_exporter_offline.source", "neptune_exporter_pluto.sink")


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    """`neptune-exporter` in the folder of the test."""
    return CommandLine(tmp_path)


@pytest.fixture(scope="session")
def offline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `.neptune` folder with a run of the 2.x client and two runs, one a fork, of neptune-scale."""
    folder = tmp_path_factory.mktemp("clients")
    subprocess.run(
        [sys.executable, str(CLIENT), PROJECT],
        cwd=folder,
        env=clean_environment(),
        check=True,
        capture_output=True,
        timeout=180,
    )
    return folder / ".neptune"
