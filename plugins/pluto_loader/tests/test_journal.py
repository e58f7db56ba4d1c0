"""The journal on a bad day: a full disk, a line that is cut short."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from neptune_exporter.contract import SinkError
from neptune_exporter_pluto.state.addresses import Addresses
from neptune_exporter_pluto.state.cachefile import LineOwners
from neptune_exporter_pluto.state.journal import Journal, Target

from .killed_load import KEY

TARGET = Target("account", "host", "project")


def begun(base: Path) -> Journal:
    journal = Journal.of(base, TARGET, KEY).open()
    begin = dict.fromkeys(("external_id", "fingerprint", "content", "chunking", "mark"), "x")
    journal.note("begin", number=1, **begin)
    return journal


def file_of(base: Path) -> Path:
    (path,) = base.glob("**/*.jsonl")
    return path


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """As on a full disk: what goes beyond is written in part."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of file sizes")
@pytest.mark.parametrize("room", [0, 10])
def test_a_full_disk_is_told_and_spoils_nothing(tmp_path: Path, room: int) -> None:
    journal = begun(tmp_path)
    with (
        files_no_longer_than(file_of(tmp_path).stat().st_size + room),
        pytest.raises(OSError, match=re.escape(file_of(tmp_path).name)),
    ):
        journal.note("sending", durable=True, stream="data", upto=5)
    journal.note("sending", durable=True, stream="data", upto=7)
    journal.close()
    found = Journal.of(tmp_path, TARGET, KEY).peek()
    assert found is not None and found.sending == {"data": 7}


def test_addresses_are_known_until_they_expire_or_are_removed(tmp_path: Path) -> None:
    """Also those after one that a kill has truncated."""
    path = tmp_path / "run.addresses"
    path.write_bytes(b'\n[0,"https://storage.example/old",1.0]\n[1,"https://stor')
    Addresses(path).add({2: "https://storage.example/2", 3: "https://storage.example/3"})
    Addresses(path).add({3: "https://storage.example/again"})
    assert Addresses(path).good() == {2: "https://storage.example/2", 3: "https://storage.example/again"}
    Addresses(path).clear()
    assert Addresses(path).good() == {} and not path.exists()


@pytest.mark.parametrize(
    "line", [b"\0" * 40, b'{"e":"sending","stream":"{"e":"sent"}', b"[1]", b'{"e":"sent"}']
)
def test_a_damaged_journal_is_named(tmp_path: Path, line: bytes) -> None:
    begun(tmp_path).close()
    path = file_of(tmp_path)
    path.write_bytes(path.read_bytes() + line + b"\n")
    for read in (Journal.peek, Journal.open):
        journal = Journal.of(tmp_path, TARGET, KEY)
        with pytest.raises(SinkError, match=r"damaged in line 3.*move that file away") as error:
            read(journal)
        assert str(path) in str(error.value)
        journal.close()


def test_a_claim_that_was_cut_short_claims_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    assert LineOwners(path).claim("project::one", TARGET, "run 1")
    path.write_bytes(path.read_bytes() + b'{"line":"project::two","run":"')
    owners = LineOwners(path)
    assert owners.claim("project::two", TARGET, "run 2")
    assert not owners.claim("project::one", TARGET, "run 3")
    assert not LineOwners(path).claim("project::two", TARGET, "run 3")
