"""Files: all of them, under names that differ, of the right type, at a pace that the server bears."""

from __future__ import annotations

import hashlib
import io
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pluto.query import Client

from neptune_exporter.contract import LoadedRun, SinkError
from neptune_exporter.model import RunKey
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loopback import Fault, Request, Response
from neptune_exporter.testing.runs import (
    SampleFile,
    SampleRun,
    artifact,
    file,
    file_series,
    file_set,
    parameter,
)
from neptune_exporter.toolkit.filekinds import kind_of
from neptune_exporter_pluto.ending import SUPERSEDED_TAG
from neptune_exporter_pluto.service.api import FileToSign
from neptune_exporter_pluto.service.storage import Pace
from neptune_exporter_pluto_server import RehearsalServer, faults
from neptune_exporter_pluto_server.files import MIME_TYPES

from .conftest import MakeSink

KEY = RunKey("acme/vision", "RUN-1")
PNG = b"\x89PNG\r\n\x1a\n"


def images(count: int) -> SampleRun:
    return SampleRun(
        KEY, (file_series("images", ((n, SampleFile(PNG + b"%d" % n, ".png")) for n in range(count))),)
    )


def losses_of(loaded: LoadedRun) -> dict[tuple[str, str | None], int]:
    return {(loss.reason, loss.attribute_path): loss.count for loss in loaded.losses}


def listed(server: RehearsalServer, loaded: LoadedRun, name: str | None = None) -> list[dict[str, Any]]:
    with Client(api_token=server.api_key, host=server.url) as client:
        return list(client.get_files(KEY.project_id, int(loaded.target_id), name))


# What a file is.


@pytest.mark.parametrize(
    ("name", "head", "log_type", "extension"),
    [
        ("a.png", PNG, "IMAGE", "png"),
        ("no extension", PNG, "IMAGE", "png"),
        ("photo.jpeg", b"\xff\xd8\xff\xe0", "IMAGE", "jpeg"),
        ("wrong.txt", PNG, "IMAGE", "png"),
        ("clip.mov", b"\0\0\0\x18ftypqt  ", "VIDEO", "mov"),
        ("clip", b"\0\0\0\x18ftypisom", "VIDEO", "mp4"),
        ("a.wav", b"RIFF\0\0\0\0WAVEfmt ", "AUDIO", "wav"),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", "IMAGE", "webp"),
        ("RIFF but not", b"XXXX\0\0\0\0WAVE", "ARTIFACT", ""),
        ("log.txt", "grüß".encode(), "TEXT", "txt"),
        ("notes", b"plain words", "TEXT", "txt"),
        ("fake.txt", b"\0\1\2", "ARTIFACT", "txt"),
        ("model.pt", b"PK\x03\x04", "ARTIFACT", "pt"),
        ("BMW notes", b"BMW is a car", "TEXT", "txt"),
        ("bitmap", b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "IMAGE", "bmp"),
        ("empty.txt", b"", "TEXT", "txt"),
        ("empty", b"", "ARTIFACT", ""),
        ("drawing.svg", b"<svg/>", "IMAGE", "svg"),
        ("archive.tar.gz", b"\x1f\x8b\x08", "ARTIFACT", "gz"),
        ("weights.最终版", b"\1\0\2", "ARTIFACT", ""),
        ("picture.最终版", PNG, "IMAGE", "png"),
    ],
)
def test_types(name: str, head: bytes, log_type: str, extension: str) -> None:
    kind = kind_of(name, head)
    assert (kind.media.upper(), kind.extension) == (log_type, extension)


@given(st.text(max_size=30), st.binary(max_size=64))
def test_any_file_has_a_type(name: str, head: bytes) -> None:
    kind = kind_of(name, head)
    assert kind.extension == "" or kind.extension.isalnum()
    assert signed_type(kind.extension).isascii()


def signed_type(extension: str) -> str:
    return FileToSign("files", "file", extension, 1, 0, 0).content_type


def test_content_types_are_those_that_pluto_signs() -> None:
    for extension, mime in MIME_TYPES.items():
        assert signed_type(extension) == mime
    assert signed_type("xyz") == "xyz"


def test_types_are_registered(server: RehearsalServer, make_sink: MakeSink) -> None:
    run = SampleRun(
        KEY,
        (
            file("photo", PNG + b"1", "photo"),
            file("weights/model.pt", b"PK\x03\x04", "model.pt"),
            file_set("source_code/files", {"a.py": b"a"}),
            artifact("data/train", b"[]"),
        ),
    )
    loaded = make_sink().load(MemoryRun(run), None)
    types = server.runs.by_id[int(loaded.target_id)].log_names
    assert types == {
        "photo": "IMAGE",
        "weights/model.pt": "ARTIFACT",
        "source_code/files": "ARTIFACT",
        "data/train": "ARTIFACT",
    }
    names = {row["logName"]: row["fileName"] for row in listed(server, loaded)}
    assert names["photo"].startswith("photo.") and names["weights/model.pt"] == "model.pt"


def test_an_extension_that_no_header_can_hold_stays_in_the_name(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    content = b"\1\0\2"
    run = MemoryRun(SampleRun(KEY, (file("model/weights.最终版", content),)))
    sink = make_sink()
    loaded = sink.load(run, None)
    (row,) = listed(server, loaded)
    assert row["fileName"] == "weights.最终版"
    assert server.file_bytes(int(loaded.target_id), "model/weights.最终版", row["fileName"]) == content
    verdicts = {c.item: c.verdict.value for c in sink.verify(run, full=True)}
    assert verdicts["files of model/weights.最终版: bytes"] == "="


# Names, steps, numbers.


def test_steps_do_not_overwrite_each_other(server: RehearsalServer, make_sink: MakeSink) -> None:
    steps = (0, 0.2, 0.4, 1, 1)
    run = SampleRun(
        KEY, (file_series("plots", ((s, SampleFile(PNG + b"%d" % n, "p.png")) for n, s in enumerate(steps))),)
    )
    loaded = make_sink().load(MemoryRun(run, shuffle=5), None)
    rows = listed(server, loaded)
    assert len({row["fileName"] for row in rows}) == 5
    assert sorted(int(row["step"]) for row in rows) == [0, 2, 4, 10, 10]
    contents = {server.file_bytes(int(loaded.target_id), "plots", row["fileName"]) for row in rows}
    assert contents == {PNG + b"%d" % n for n in range(5)}


def test_a_negative_step_costs_the_step_and_not_the_file(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    run = SampleRun(
        KEY, (file_series("plots", [(-1, SampleFile(PNG, ".png")), (3, SampleFile(PNG, ".png"))]),)
    )
    loaded = make_sink().load(MemoryRun(run), None)
    assert {(row["fileName"].split("_step_")[1], int(row["step"])) for row in listed(server, loaded)} == {
        ("-1.bin", 0),
        ("3.bin", 3),
    }
    assert losses_of(loaded) == {("file-step", "plots"): 1}


def test_a_cap_is_honoured_and_told(server: RehearsalServer, make_sink: MakeSink) -> None:
    loaded = make_sink(max_files_per_run=3).load(MemoryRun(images(10)), None)
    assert len(listed(server, loaded)) == 3
    (loss,) = loaded.losses
    assert (loss.reason, loss.count, loss.requested) == ("file-cap", 7, True)


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside.txt", "gone.bin"])
def test_what_cannot_be_opened_is_told(server: RehearsalServer, make_sink: MakeSink, path: str) -> None:
    run = SampleRun(KEY, (parameter("kept", 1), file("bad", b"x", ".bin"), file("good", b"y", ".bin")))
    loaded = make_sink().load(MemoryRun(run, renamed_files={"bad": path}), None)
    assert [row["logName"] for row in listed(server, loaded)] == ["good"]
    reason = "file-missing" if path == "gone.bin" else "file-unsafe"
    assert losses_of(loaded) == {(reason, "bad"): 1}


def test_a_file_that_was_missing_is_loaded_once_it_is_there(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    run = SampleRun(KEY, (file("bad", b"x", ".bin"), file("good", b"y", ".bin")))
    without = MemoryRun(run, renamed_files={"bad": "gone.bin"})
    sink = make_sink()
    first = sink.load(without, None)
    assert {c.verdict.value for c in sink.verify(without)} <= {"=", "~", "?"}
    assert sink.load(without, None).already_loaded
    again = make_sink().load(MemoryRun(run), None)
    assert not again.already_loaded and not again.losses and again.target_id != first.target_id
    assert sorted(row["logName"] for row in listed(server, again)) == ["bad", "good"]
    assert SUPERSEDED_TAG in server.runs.by_id[int(first.target_id)].tags


@pytest.mark.parametrize("size", [5, 3_000_000])
def test_a_file_that_changed_since_it_was_exported_is_not_uploaded(
    server: RehearsalServer, make_sink: MakeSink, size: int
) -> None:
    class Damaged(MemoryRun):
        def open_file(self, file: str) -> BinaryIO:
            content = bytearray(super().open_file(file).read())
            content[-1] ^= len(content) == size
            return io.BytesIO(content)

    run = SampleRun(KEY, (file("bad", b"x" * size, ".bin"), file("good", b"y", ".bin")))
    sink = make_sink()
    loaded = sink.load(Damaged(run), None)
    assert [row["logName"] for row in listed(server, loaded)] == ["good"]
    assert losses_of(loaded) == {("file-damaged", "bad"): 1}
    verdicts = {c.item: c.verdict.value for c in sink.verify(Damaged(run), full=True) if "files" in c.item}
    assert verdicts == {"files of bad": "~", "files of good": "=", "files of good: bytes": "="}


def test_more_files_than_pluto_lists(server: RehearsalServer, make_sink: MakeSink) -> None:
    sink = make_sink()
    loaded = sink.load(MemoryRun(images(1_100)), None)
    assert len(server.store.file_rows(server.key(int(loaded.target_id)))) == 1_100
    verdicts = {c.item: c.verdict.value for c in sink.verify(MemoryRun(images(1_100))) if "images" in c.item}
    assert verdicts == {"files of images": "?"}


# Pace and addresses.


class Gauge:
    """How many uploads the server sees at once, and when they came."""

    def __init__(self, server: RehearsalServer, hold: float = 0.0) -> None:
        self.most = self._now = 0
        self.times: list[float] = []
        self._lock, self._hold, handle = threading.Lock(), hold, server.handle

        def counted(request: Request) -> Response:
            if not request.path.startswith("/storage/") or request.method != "PUT":
                return handle(request)
            with self._lock:
                self._now += 1
                self.most = max(self.most, self._now)
                self.times.append(time.monotonic())
            try:
                time.sleep(self._hold)
                return handle(request)
            finally:
                with self._lock:
                    self._now -= 1

        server.handle = counted  # type: ignore[method-assign]


def test_several_connections_and_not_more(server: RehearsalServer, make_sink: MakeSink) -> None:
    gauge = Gauge(server, hold=0.05)
    make_sink(file_connections=3).load(MemoryRun(images(24)), None)
    assert gauge.most == 3


def test_pauses_between_batches(server: RehearsalServer, make_sink: MakeSink) -> None:
    gauge = Gauge(server)
    make_sink(file_chunk_size=4, file_chunk_sleep=0.3).load(MemoryRun(images(12)), None)
    gaps = [b - a for a, b in itertools.pairwise(gauge.times)]
    assert sum(gap >= 0.29 for gap in gaps) == 2


def test_the_pace_falls_and_recovers() -> None:
    pace = Pace(8)
    with pace.turn() as first, pace.turn() as second:
        pace.pushed_back(first)
        pace.pushed_back(second)  # of the same burst: tells nothing new
    assert pace.limit == 4
    for _ in range(10):
        with pace.turn() as era:
            pace.pushed_back(era)
    assert pace.limit == 1
    for _ in range(20 * 7):
        pace.succeeded()
    assert pace.limit == 8


@pytest.mark.parametrize("status", [429, 502, 503])
def test_push_back_slows_down_and_loses_nothing(
    server: RehearsalServer, make_sink: MakeSink, status: int
) -> None:
    server.fail(faults.unavailable(status, "/storage/", retry_after="0" if status == 429 else None, times=5))
    sink = make_sink()
    loaded = sink.load(MemoryRun(images(30)), None)
    assert sink.session.storage.pace.limit < 8
    assert len(listed(server, loaded)) == 30 and not loaded.losses


def test_an_expired_address_is_asked_for_again(server: RehearsalServer, make_sink: MakeSink) -> None:
    body = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    server.fail(Fault("/storage/", method="PUT", status=403, body=body))
    loaded = make_sink().load(MemoryRun(images(3)), None)
    rows = listed(server, loaded)
    assert {server.file_bytes(int(loaded.target_id), "images", r["fileName"]) for r in rows} == {
        PNG + b"%d" % n for n in range(3)
    }
    # Pluto lists what is announced twice twice; it is told, not hidden.
    assert len(rows) == 4 and losses_of(loaded) == {("file-listed-twice", "images"): 1}


def test_addresses_that_are_refused_for_ever(server: RehearsalServer, make_sink: MakeSink) -> None:
    server.fail(Fault("/storage/", method="PUT", status=403, body=b"<Code>AccessDenied</Code>", times=1_000))
    with pytest.raises(SinkError, match="403"):
        make_sink().load(MemoryRun(images(1)), None)


def test_the_key_is_not_sent_to_the_storage(server: RehearsalServer, make_sink: MakeSink) -> None:
    seen: list[str | None] = []
    handle = server.handle

    def watching(request: Request) -> Response:
        if request.path.startswith("/storage/"):
            seen.append(request.headers.get("authorization"))
        return handle(request)

    server.handle = watching  # type: ignore[method-assign]
    make_sink().load(MemoryRun(images(2)), None)
    assert seen == [None, None]


class LargeRun(MemoryRun):
    """Its file is as large as told and is made while it is read."""

    def __init__(self, run: SampleRun, size: int, watch: Callable[[int], None]) -> None:
        super().__init__(run, sizes=False)  # its content is not what was exported
        self._size, self._watch = size, watch

    def open_file(self, file: str) -> BinaryIO:
        return io.BufferedReader(_Zeros(self._size, self._watch))


class _Zeros(io.RawIOBase):
    def __init__(self, size: int, watch: Callable[[int], None]) -> None:
        self._size, self._at, self._watch = size, 0, watch

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._at)
        self._watch(count)
        buffer[:count] = bytes(count)
        self._at += count
        return count


def test_large_files_are_streamed(server: RehearsalServer, make_sink: MakeSink) -> None:
    largest: list[int] = [0]
    size = 30 << 20

    def watch(count: int) -> None:
        largest[0] = max(largest[0], count)

    run = LargeRun(SampleRun(KEY, (file("model", b"", "model.bin"),)), size, watch)
    loaded = make_sink().load(run, None)
    (row,) = listed(server, loaded)
    assert int(row["fileSize"]) == size and largest[0] <= 2 << 20
    stored = server.file_bytes(int(loaded.target_id), "model", row["fileName"])
    assert hashlib.sha256(stored).digest() == hashlib.sha256(bytes(size)).digest()
