"""The list of files in a zip of which only the end is kept."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable

import pytest

from neptune_exporter.contract import SourceError
from neptune_exporter_neptune2 import zips

KEPT = 100_000
FILES = {f"{number}.bin": os.urandom(80_000) for number in range(3)}


class Target:
    """A file that only counts what it gets."""

    size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)


def archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name, data in FILES.items():
            opened.writestr(name, data)
    return content.getvalue()


def listed(content: bytes, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]] | None:
    monkeypatch.setattr(zips, "_KEPT", KEPT)
    file = zips.TailedFile(Target())  # type: ignore[arg-type]
    for start in range(0, len(content), 10_000):
        file.write(content[start : start + 10_000])
    assert len(file.tail) < len(content)
    found = zips.members(file)
    return None if found is None else [(entry["filePath"], entry["size"]) for entry in found]


@pytest.mark.parametrize("before", [b"", b"of another program" * 1000])
def test_the_end_of_a_zip_tells_all_its_files(before: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(before + archive(), monkeypatch) == [(name, len(data)) for name, data in FILES.items()]


def test_the_end_of_a_large_zip_tells_all_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip64 has two records of its directory, and newer Pythons compare them (python/cpython#139702)."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    content = archive()
    assert b"PK\x06\x06" in content
    assert listed(content, monkeypatch) == [(name, len(data)) for name, data in FILES.items()]


def test_the_end_is_at_its_place_in_the_whole_file() -> None:
    file = zips.TailedFile(Target())  # type: ignore[arg-type]
    file.write(b"0123456789")
    del file.tail[:4]
    end = zips._End(file)
    assert (end.seek(7), end.tell(), end.read(1), end.tell()) == (7, 7, b"7", 8)
    assert (end.seek(-1, io.SEEK_END), end.read()) == (9, b"9")
    with pytest.raises(zips._TooLongError):
        end.seek(3)
    with pytest.raises(ValueError):
        end.seek(-1)


def signature(content: bytearray, place: int) -> None:
    content[place : place + 4] = b"none"


def size(content: bytearray, place: int) -> None:
    end = content.rfind(b"PK\x05\x06")
    content[end + 12 : end + 16] = (2**31).to_bytes(4, "little")


@pytest.mark.parametrize("damage", [signature, size])
def test_a_damaged_directory_is_not_taken_for_one_of_too_many_files(
    damage: Callable[[bytearray, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(archive())
    damage(content, content.rfind(b"PK\x01\x02"))
    with pytest.raises(SourceError, match="no whole zip"):
        listed(bytes(content), monkeypatch)
