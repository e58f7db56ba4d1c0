"""A disk that is full ends an export in one line, and leaves what was there before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="the system has no limits of file sizes")

WRITE = """
import resource, sys
from neptune_exporter.contract import (AttributeSelection, DatasetError, SourceRun)
from neptune_exporter.dataset import Dataset
from neptune_exporter.model import AttributeType, RunKey
import pyarrow as pa, pyarrow.compute as pc
from neptune_exporter.schema import attribute_batch

folder, limit = sys.argv[1], int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
dataset = Dataset(folder + "/data", folder + "/files")
writer = dataset.writer(RunKey("acme/full", "RUN-1"))
try:
    for number in range(8):
        values = {"float_value": pc.random(300_000, initializer=number)}
        writer.write(attribute_batch(f"m/{number}", AttributeType.FLOAT_SERIES, values))
    writer.publish(SourceRun(writer.key), "test 1", [AttributeSelection()])
except DatasetError as error:
    writer.discard()
    print(error)
else:
    print("published")
"""


def write(folder: Path, limit: int) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", WRITE, str(folder), str(limit)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)


@pytest.mark.parametrize("limit", [1_000, 2_000_000])
def test_one_line_and_nothing_left(tmp_path: Path, limit: int) -> None:
    """At the first bytes, and in the middle of a part."""
    full = write(tmp_path, limit)
    assert full.stdout.count("\n") == 1
    assert full.stdout.endswith("cannot be written: File too large\n")
    assert full.stderr == ""
    assert [path for path in tmp_path.rglob("*") if "part_" in path.name or "receipt" in path.name] == []
    assert write(tmp_path, 1 << 30).stdout == "published\n"


LOCK = """
import resource, sys
from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset import Dataset

resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
try:
    with Dataset(sys.argv[1] + "/data", sys.argv[1] + "/files").lock():
        pass
except DatasetError as error:
    print(error)
"""


def test_a_disk_that_is_full_before_the_lock_is_named(tmp_path: Path) -> None:
    line = [sys.executable, "-c", LOCK, str(tmp_path)]
    full = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
    assert full.stdout == f"{tmp_path}/data cannot be written: File too large\n"
