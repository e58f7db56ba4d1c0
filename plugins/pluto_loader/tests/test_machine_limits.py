"""A disk that is full, a folder that is gone, few file descriptors: one line that helps, and nothing lost."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neptune_exporter.contract import SinkError
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter_pluto.state.disk_errors import named

from .conftest import MakeSink
from .killed_load import everything

SHAPE = old_layout.Shape(metrics=4, steps=200, parameters=5, lines=20, histograms=1, files=3)

WITH_FEW_FILES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
from neptune_exporter.cli import main
sys.exit(main())
"""


def test_an_error_of_the_disk_names_its_place(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=re.escape(str(tmp_path))), named(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match="'of its own'"), named(tmp_path):
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), "of its own")


def test_a_base_dir_that_is_gone_is_made_again(make_sink: MakeSink, tmp_path: Path) -> None:
    """What had been noted is lost with it: Pluto is asked for the run."""
    sink, base = make_sink(), tmp_path / "state"
    first = sink.load(MemoryRun(everything()), None)
    shutil.rmtree(base)
    again = sink.load(MemoryRun(everything()), None)
    assert (again.target_id, again.already_loaded) == (first.target_id, True)


@pytest.mark.parametrize(
    "damage",
    [
        b'{"e":"signed","files":1}',
        b'{"e":"sent"}',
        b"[]",
        b"\x00\x00",
        b"[" * 100_000,
        b"7",
    ],
)
def test_a_damaged_journal_is_named_with_its_line(make_sink: MakeSink, tmp_path: Path, damage: bytes) -> None:
    sink = make_sink()
    sink.load(MemoryRun(everything()), None)
    (journal,) = (tmp_path / "state").glob("*/*/*.jsonl")
    lines = journal.read_bytes().count(b"\n")
    with journal.open("ab") as file:
        file.write(damage + b"\n")
    with pytest.raises(SinkError, match=f"{journal.name} is damaged in line {lines + 1}"):
        sink.load(MemoryRun(everything()), None)


@pytest.mark.skipif(os.name == "nt", reason="there is no such limit")
def test_16_file_descriptors_are_enough_or_named(command_line: CommandLine) -> None:
    exports = command_line.folder / "exports"
    old_layout.standard(exports / "data", exports / "files", runs=3, shape=SHAPE)
    done = subprocess.run(
        [sys.executable, "-c", WITH_FEW_FILES, "load", "--loader=pluto", "--workers=8"],
        cwd=command_line.folder,
        env={**os.environ, **command_line.environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    output = done.stdout + done.stderr
    assert "Traceback" not in output and "internal error" not in output, output
    assert done.returncode == 0 or "Too many open files" in output, output
    command_line.run("load", "--loader=pluto")
