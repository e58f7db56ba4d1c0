"""Locks on Windows, whose module is imitated here: it answers EACCES for a lock that is held."""

from __future__ import annotations

import errno
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from neptune_exporter.toolkit import file_lock


@pytest.mark.parametrize("code", [errno.EACCES, errno.EINVAL])
def test_only_a_lock_that_is_held_counts_as_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def locking(*_: int) -> None:
        raise OSError(code, "refused")

    msvcrt = SimpleNamespace(LK_NBLCK=2, LK_UNLCK=0, locking=locking)
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "platform", "win32")
    lock_file = runpy.run_path(file_lock.__file__)["lock_file"]
    with (tmp_path / "lock").open("wb") as file:
        if code == errno.EACCES:
            assert lock_file(file) is False
            return
        with pytest.raises(OSError, match="refused"):
            lock_file(file)
