"""Logs sample runs with the real client of Neptune 2.x in offline mode."""

from __future__ import annotations

import io
import itertools
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from neptune_exporter.model import AttributeType, RunKind, SysAttribute
from neptune_exporter.testing.runs import Entry, SampleAttribute, SampleFile, SampleRun, parameter

_INT_LIMIT = 2**31
_MAX_STRING = 16_384
_MAX_LINE = 1_000
_DESCRIPTION = ""
_OF_THE_SERVER = {
    SysAttribute.ID,
    SysAttribute.CUSTOM_RUN_ID,
    SysAttribute.CREATION_TIME,
    SysAttribute.MODIFICATION_TIME,
    SysAttribute.FORK_PARENT,
    SysAttribute.FORK_STEP,
}


def can_hold(sample: SampleRun) -> bool:
    """Whether offline mode knows it: runs only."""
    return sample.key.kind is RunKind.RUN and not sample.archived


def write_run(sample: SampleRun, data_directory: Path, scratch: Path) -> tuple[SampleRun, Path]:
    """Log a sample into a folder below `data_directory`; files that are logged by path lie in `scratch`.

    Returns:
        The sample as a reader must find it (without what the client cannot hold, with
        what it adds), and the folder. Its creation time is the client's.
    """
    import neptune

    held = sample.adapted(_held)
    with _environment(data_directory):
        before = set(data_directory.glob("offline/*"))
        run = neptune.init_run(
            mode="offline",
            name=sample.name,
            source_files=[],
            git_ref=False,
            capture_stdout=False,
            capture_stderr=False,
            capture_hardware_metrics=False,
            capture_traceback=False,
        )
        numbers = itertools.count()
        for attribute in held.attributes:
            if attribute.path != SysAttribute.NAME:
                _log(run, attribute, scratch / f"{sample.key.run_id}-{next(numbers)}")
        run.stop()
    (folder,) = set(data_directory.glob("offline/*")) - before
    added = [parameter(SysAttribute.ID, sample.key.run_id)]
    given = {a.path for a in held.attributes}
    if SysAttribute.NAME not in given:
        added.append(parameter(SysAttribute.NAME, "Untitled"))
    if SysAttribute.DESCRIPTION not in given:
        added.append(parameter(SysAttribute.DESCRIPTION, _DESCRIPTION))
    if SysAttribute.FAILED not in given:
        added.append(parameter(SysAttribute.FAILED, False))
    return held.plus(*added), folder


def append_operations(folder: Path, *operations: Mapping[str, Any]) -> None:
    """Add operations to a folder's log as the client writes them: of other clients, or malformed."""
    put = folder / "last_put_version"
    version = int(put.read_text() or 0)
    with (folder / "data-1.log").open("a") as log:
        for operation in operations:
            version += 1
            log.write(json.dumps({"obj": operation, "version": version, "at": 1.7e9}) + "\n")
    put.write_text(str(version))


@contextmanager
def _environment(data_directory: Path) -> Iterator[None]:
    with patch.dict("os.environ", {"NEPTUNE_DATA_DIRECTORY": str(data_directory)}):
        yield


def _held(attribute: SampleAttribute) -> SampleAttribute | None:
    if attribute.path in _OF_THE_SERVER or _is_no_path(attribute.path):
        return None
    if attribute.type in (AttributeType.HISTOGRAM_SERIES, AttributeType.ARTIFACT):
        return None
    entries = [_held_entry(attribute.type, e) for e in attribute.entries]
    kept = tuple(e for e in entries if e is not None)
    return replace(attribute, entries=kept) if kept or attribute.type.is_series else None


def _is_no_path(path: str) -> bool:
    """A namespace cannot also be an attribute, and empty parts of a path vanish."""
    return path == "x/y" or "" in path.split("/")


def _held_entry(attribute_type: AttributeType, entry: Entry) -> Entry | None:
    value = entry.value
    if attribute_type.is_series and None in (entry.step, entry.timestamp):
        return None
    if _is_beyond(value):
        return None
    if isinstance(value, str):
        limit = _MAX_LINE if attribute_type is AttributeType.STRING_SERIES else _MAX_STRING
        return replace(entry, value=value[:limit])
    if isinstance(value, SampleFile) and attribute_type is AttributeType.FILE_SERIES:
        return replace(entry, value=SampleFile(_png(value.content), ".png"))  # it takes only images
    return entry


def _is_beyond(value: object) -> bool:
    """Whether the client takes no such number."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and not -_INT_LIMIT <= value < _INT_LIMIT


def _log(run: Any, attribute: SampleAttribute, scratch: Path) -> None:
    handler = run[attribute.path]
    if attribute.type is AttributeType.STRING_SET:
        handler.add(list(_tuple(attribute.value)))
    elif attribute.type is AttributeType.FILE:
        _log_file(handler, attribute, scratch)
    elif attribute.type is AttributeType.FILE_SET:
        with zipfile.ZipFile(io.BytesIO(_content(attribute.value))) as archive:
            archive.extractall(scratch)
        handler.upload_files(str(scratch / "*"))
    elif attribute.type.is_series:
        _log_series(handler, attribute)
    else:
        handler.assign(attribute.value)


def _log_file(handler: Any, attribute: SampleAttribute, scratch: Path) -> None:
    """One half from memory, one half by path. The client cannot copy a file of a long path."""
    from neptune.types import File

    content = _content(attribute.value)
    if len(attribute.path) % 2 and len(attribute.path) < 200:
        handler.upload(File.from_content(content, extension="bin"))
    else:
        scratch.mkdir(parents=True)
        (scratch / "logged.bin").write_bytes(content)
        handler.upload(str(scratch / "logged.bin"))


def _log_series(handler: Any, attribute: SampleAttribute) -> None:
    from neptune.types import File

    for entry in attribute.entries:
        assert entry.step is not None and entry.timestamp is not None
        value: Any = entry.value
        if isinstance(value, SampleFile):
            value = File.from_content(value.content, extension="png")
        handler.append(value, step=float(entry.step), timestamp=entry.timestamp.timestamp())


def _content(value: object) -> bytes:
    assert isinstance(value, SampleFile)
    return value.content


def _tuple(value: object) -> tuple[str, ...]:
    assert isinstance(value, tuple)
    return value


def _png(seed: bytes) -> bytes:
    """A picture of one pixel, whose colour depends on the seed."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    colour = struct.pack(">I", zlib.crc32(seed))[:3]
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0" + colour)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
