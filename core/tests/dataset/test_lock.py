"""One writer per dataset."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset import Dataset

HOLD = """
import sys
from neptune_exporter.dataset import Dataset
with Dataset(sys.argv[1] + "/data", sys.argv[1] + "/files").lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_named_and_its_death_frees_the_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(DatasetError) as error, dataset.lock():
            pass
        message = str(error.value)
        assert f"process {process.pid} on {socket.gethostname()} since 20" in message
        assert str(tmp_path / "data") in message and "\n" not in message
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
    with dataset.lock():
        pass


def test_the_same_process_cannot_hold_it_twice(dataset: Dataset) -> None:
    other = Dataset(dataset.data_path, dataset.files_path)
    with dataset.lock(), pytest.raises(DatasetError, match=f"process {os.getpid()} on"), other.lock():
        pass
    with other.lock():
        pass


def test_a_lock_file_with_anything_in_it_does_not_matter(dataset: Dataset) -> None:
    lock = dataset.data_path / ".neptune-exporter" / "lock.parquet"
    lock.parent.mkdir(parents=True)
    lock.write_bytes(b"\xff not json")
    with dataset.lock():
        pass


def test_the_lock_is_invisible_to_readers(dataset: Dataset) -> None:
    with dataset.lock():
        assert list(dataset.runs()) == [] and dataset.projects() == []


@pytest.mark.parametrize("name", ["data", "data/.neptune-exporter"])
def test_a_place_that_cannot_be_written_is_said_to_be_so(tmp_path: Path, name: str) -> None:
    """A file where a folder should be: it stops root as well, whom no permission stops."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("a file")
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    with (
        pytest.raises(DatasetError, match=r"data cannot be written: (File exists|Not a directory)"),
        dataset.lock(),
    ):
        pass
