"""Upload addresses: whoever has one can replace the file, so none stays longer than it is needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from neptune_exporter.contract import SinkError
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter_pluto_server import RehearsalServer, faults

from .conftest import MakeSink
from .test_files import images, listed


def with_addresses(folder: Path) -> list[Path]:
    """The files that hold upload addresses."""
    return [path for path in folder.rglob("*") if path.is_file() and b"/storage/" in path.read_bytes()]


def test_no_upload_address_outlives_its_upload(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    """Nothing was compared here, and then something that differs."""
    sink, run = make_sink(file_chunk_size=4, retry_for=0.5), MemoryRun(images(9))
    server.fail(faults.unavailable(503, "/storage/.*_8", times=1_000))
    with pytest.raises(SinkError, match="503"):
        sink.load(run, None)
    (kept,) = with_addresses(tmp_path)
    assert kept.read_text().count("http") == 1, "those of the batches before are still there"
    assert kept.stat().st_mode & 0o077 == 0 or os.name == "nt"
    server.faults.clear()
    loaded = sink.load(run, None)
    assert len(listed(server, loaded)) == 9 and not loaded.losses, "it did not go on with that address"
    assert not with_addresses(tmp_path)
    server.runs.by_id[int(loaded.target_id)].tags.append("theirs")
    server.runs.by_id[int(loaded.target_id)].status = "FAILED"
    assert any(c.verdict.is_mismatch for c in sink.verify(run))
    assert not with_addresses(tmp_path)


def test_a_load_that_is_given_up_leaves_no_upload_address(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    sink = make_sink(retry_for=0.1)
    server.fail(faults.unavailable(503, "/storage/", times=1_000))
    with pytest.raises(SinkError, match="503"):
        sink.load(MemoryRun(images(2)), None)
    assert with_addresses(tmp_path)
    with pytest.raises(SinkError, match="503"):  # of another export, whose run cannot be created
        server.fail(faults.unavailable(503, "/api/runs/create", times=1_000))
        sink.load(MemoryRun(images(3)), None)
    assert not with_addresses(tmp_path)
