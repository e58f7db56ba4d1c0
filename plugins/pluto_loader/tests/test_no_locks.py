"""A base folder on a file system without locks is refused before anything is sent."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile

import pytest

from neptune_exporter.contract import LoadOptions, UsageError
from neptune_exporter_pluto.rehearse import RehearsalSink
from neptune_exporter_pluto.settings import PlutoSettings
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


def test_a_rehearsal_names_the_variable_of_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UsageError) as caught:
        RehearsalSink.started(PlutoSettings(), LoadOptions())
    assert str(caught.value) == (
        f"TMPDIR: the file system of {tempfile.gettempdir()} has no locks ({os.strerror(errno.ENOSYS)}); "
        "name a folder on a local disk"
    )
