"""A base folder on a file system without locks is refused before anything is sent."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest

from neptune_exporter.contract import UsageError
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK], ids=["lustre", "nfs"])
def test_a_base_folder_without_locks_is_one_line(
    server: RehearsalServer, make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UsageError, match=r"--pluto-base-dir: the file system of .* has no locks"):
        make_sink()
    assert not server.requests
