"""Downloads over connections that break, lie and change, and patience with a server that is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neptune_exporter.contract import SourceError
from neptune_exporter.model import RunKey
from neptune_exporter.testing import MemoryFiles
from neptune_exporter.toolkit import (
    Body,
    Patience,
    SlowError,
    TransientError,
    WrongSizeError,
    receive,
    retry_after,
)
from neptune_exporter.toolkit import transfer as transfer_module

SHORT = Patience(0.3, 0.001, 0.01)
CONTENT = bytes(range(256)) * 4


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_module, "_PAUSE", 0.0)


@dataclass
class Line:
    """A server behind a line that breaks."""

    content: bytes = CONTENT
    breaks: list[int] = field(default_factory=list)
    """After how many bytes each answer breaks off; then none does."""
    resumes: bool = True
    tells_size: bool = True
    version: str | None = None
    silent: bool = False
    """A broken answer looks like one that has ended."""
    asked: list[int] = field(default_factory=list)

    def open_at(self, offset: int) -> _Answer:
        self.asked.append(offset)
        limit = self.breaks.pop(0) if self.breaks else None
        start = offset if self.resumes else 0
        return _Answer(self, start, limit)


@dataclass
class _Answer:
    line: Line
    start: int
    limit: int | None

    def __enter__(self) -> Body:
        line = self.line
        if self.start > len(line.content):
            raise SourceError("asked for bytes that are not there")
        size = len(line.content) if line.tells_size else None
        return Body(self._chunks(line.content[self.start :]), self.start, size, line.version)

    def __exit__(self, *exception: object) -> None: ...

    def _chunks(self, rest: bytes) -> Iterator[bytes]:
        whole = rest if self.limit is None else rest[: self.limit]
        for at in range(0, len(whole), 100):
            yield whole[at : at + 100]
        if self.limit is not None and self.limit < len(rest) and not self.line.silent:
            raise TransientError("broke")


def download(line: Line, size: int | None = None, patience: Patience = SHORT) -> bytes:
    files = MemoryFiles()
    with files.create(RunKey("a/b", "R-1"), "f") as target:
        receive(line.open_at, target, size, patience)
    return files.contents[target.stored.path]


def test_a_content_arrives_at_once() -> None:
    line = Line()
    assert download(line, len(CONTENT)) == CONTENT
    assert line.asked == [0]


def test_it_goes_on_where_it_broke() -> None:
    line = Line(breaks=[300, 0, 250])
    assert download(line, len(CONTENT)) == CONTENT
    assert line.asked == [0, 300, 300, 550]


def test_a_server_that_cannot_resume_begins_anew() -> None:
    line = Line(breaks=[300, 400], resumes=False)
    assert download(line) == CONTENT
    assert line.asked == [0, 300, 400]


def test_an_end_before_the_size_of_the_answer_is_a_break() -> None:
    line = Line(breaks=[300], silent=True)
    assert download(line) == CONTENT
    assert line.asked == [0, 300]


def test_an_answer_without_a_size_that_ends_too_early_is_asked_for_from_its_beginning() -> None:
    line = Line(breaks=[300], silent=True, tells_size=False)
    assert download(line, len(CONTENT)) == CONTENT
    assert line.asked == [0, 0]


@pytest.mark.parametrize("page", [b"", b"<html>log in</html>", bytes(2 * len(CONTENT))])
@pytest.mark.parametrize("tells_size", [True, False])
def test_a_whole_answer_of_another_size_leaves_nothing_behind(page: bytes, tells_size: bool) -> None:
    lines = iter([Line(page, tells_size=tells_size), Line()])
    files = MemoryFiles()
    with files.create(RunKey("a/b", "R-1"), "f") as target:
        receive(lambda offset: next(lines).open_at(offset), target, len(CONTENT), SHORT)
    assert files.contents[target.stored.path] == CONTENT


def test_an_empty_answer_is_no_file_where_none_can_be_empty() -> None:
    line = Line(b"", tells_size=False)
    files = MemoryFiles()
    with (
        pytest.raises(WrongSizeError, match="at least 1 bytes and the server sent 0"),
        files.create(RunKey("a/b", "R-1"), "f") as target,
    ):
        receive(line.open_at, target, None, Patience(30, 0, 0), least=1)
    assert line.asked == [0, 0, 0]
    assert files.contents == {}


def test_what_drips_does_not_renew_patience() -> None:
    class Dripping(Line):
        def open_at(self, offset: int) -> _Answer:
            self.asked.append(offset)
            return _DrippingAnswer(self, offset, None)

    class _DrippingAnswer(_Answer):
        def _chunks(self, rest: bytes) -> Iterator[bytes]:
            yield rest[:1]
            raise SlowError("the server sent only 1 byte")

    line = Dripping()
    with pytest.raises(SlowError):
        download(line, len(CONTENT))
    assert 1 < len(line.asked) < len(CONTENT)


def test_a_break_after_the_last_byte_is_none() -> None:
    class Late(Line):
        def open_at(self, offset: int) -> _Answer:
            self.asked.append(offset)
            return _LateAnswer(self, offset, None)

    class _LateAnswer(_Answer):
        def _chunks(self, rest: bytes) -> Iterator[bytes]:
            yield rest
            raise TransientError("broke while it was closed")

    line = Late()
    assert download(line, len(CONTENT)) == CONTENT
    assert line.asked == [0]


def test_another_content_is_never_appended() -> None:
    old, new = Line(CONTENT, [300], version='"1"'), Line(CONTENT[::-1], version='"2"')
    lines = iter([old, new, new])

    def open_at(offset: int) -> _Answer:
        return next(lines).open_at(offset)

    files = MemoryFiles()
    with files.create(RunKey("a/b", "R-1"), "f") as target:
        receive(open_at, target, None, SHORT)
    assert files.contents[target.stored.path] == CONTENT[::-1]
    assert (old.asked, new.asked) == ([0], [300, 0])


def test_patience_ends_with_a_server_that_brings_nothing_new() -> None:
    line = Line(breaks=[300] + [0] * 10_000)
    with pytest.raises(TransientError, match="broke"):
        download(line, len(CONTENT))
    assert 2 < len(line.asked) < 10_000


def test_patience_ends_with_a_server_that_always_begins_anew() -> None:
    line = Line(breaks=[300] * 10_000, resumes=False)
    with pytest.raises(TransientError):
        download(line)


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_content_that_always_has_another_size_is_given_up(size: int) -> None:
    files, line = MemoryFiles(), Line()
    with (
        pytest.raises(WrongSizeError, match=f"has {size} bytes and the server sent {len(CONTENT)}"),
        files.create(RunKey("a/b", "R-1"), "f") as target,
    ):
        receive(line.open_at, target, size, Patience(30, 0, 0))
    assert line.asked == [0, 0, 0]
    assert files.contents == {}


def test_what_is_final_ends_it() -> None:
    def refused(offset: int) -> _Answer:
        raise SourceError("HTTP 404")

    files = MemoryFiles()
    with pytest.raises(SourceError, match="404"), files.create(RunKey("a/b", "R-1"), "f") as target:
        receive(refused, target, None, SHORT)
    assert files.contents == {}


@given(
    st.binary(max_size=600),
    st.lists(st.integers(0, 200), max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_however_it_breaks(content: bytes, breaks: list[int], resumes: bool, tells_size: bool) -> None:
    assert download(Line(content, breaks, resumes, tells_size), len(content), Patience(30, 0, 0)) == content


def test_bodies_of_http_answers() -> None:
    chunks = [b"x"]
    assert Body.of_http(200, {"content-length": "9", "ETag": '"a"'}, chunks) == Body(chunks, 0, 9, '"a"')
    assert Body.of_http(200, {"Content-Length": "9", "Content-Encoding": "gzip"}, chunks).size is None
    assert Body.of_http(200, {"ETag": 'W/"a"'}, chunks).version is None
    assert Body.of_http(206, {"Content-Range": "bytes 3-8/9"}, chunks) == Body(chunks, 3, 9)
    assert Body.of_http(206, {"Content-Range": "bytes 3-8/*"}, chunks) == Body(chunks, 3)
    assert Body.of_http(416, {"Content-Range": "bytes */9"}, chunks) == Body((), 9, 9)
    for nonsense in (
        "9" * 5000,
        "\u00b2",
        "",
    ):  # Python makes no number of either
        assert Body.of_http(200, {"Content-Length": nonsense}, chunks).size is None
        with pytest.raises(TransientError):
            Body.of_http(206, {"Content-Range": f"bytes {nonsense}-8/9"}, chunks)
    for status, headers in ((206, {}), (416, {}), (206, {"Content-Range": "bytes */9"})):
        with pytest.raises(TransientError):
            Body.of_http(status, headers, chunks)


def test_patience_counts_and_stops() -> None:
    calls: list[float] = []

    def fail() -> None:
        calls.append(time.monotonic())
        raise TransientError("busy")

    with pytest.raises(TransientError) as caught:
        SHORT.call(fail)
    assert caught.value.attempts == len(calls) > 2
    calls.clear()
    with pytest.raises(TransientError):
        Patience(0).call(fail)
    assert len(calls) == 1


def test_what_is_tried_again_for_long_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    def failing(times: int) -> Callable[[], None]:
        failures = iter([TransientError("Pluto cannot be reached")] * times)

        def call() -> None:
            for failure in failures:
                raise failure

        return call

    Patience(60, 0.001, 0.002).call(failing(3))
    assert [r for r in caplog.records if r.name.startswith("neptune_exporter")] == []
    Patience(60, 0.001, 0.002).call(failing(20))
    (told,) = [r for r in caplog.records if r.name.startswith("neptune_exporter")]
    assert told.levelname == "WARNING"
    assert told.getMessage() == "Pluto cannot be reached; it is tried again for up to 60 s"


def test_patience_waits_as_long_as_the_server_asks() -> None:
    times: list[float] = []

    def busy_once() -> str:
        times.append(time.monotonic())
        if len(times) == 1:
            raise TransientError("HTTP 429", wait=0.5)
        return "done"

    assert Patience(5, 0.001, 0.002).call(busy_once) == "done"
    assert times[1] - times[0] >= 0.5


def test_a_server_that_asks_for_more_than_there_is_gets_none() -> None:
    calls = []

    def busy() -> None:
        calls.append(1)
        raise TransientError("HTTP 429", wait=3600)

    with pytest.raises(TransientError, match="429"):
        Patience(10, 0.001, 0.002).call(busy)
    assert len(calls) == 1


def test_other_errors_are_not_tried_again() -> None:
    calls = []

    def wrong() -> None:
        calls.append(1)
        raise SourceError("HTTP 404")

    with pytest.raises(SourceError):
        SHORT.call(wrong)
    assert len(calls) == 1


def test_retry_after_takes_seconds_and_dates() -> None:
    now = datetime(2024, 1, 1, tzinfo=timezone.utc)
    assert retry_after({"Retry-After": "120"}) == 120
    assert retry_after({"retry-after": " 0.5 "}) == 0.5
    assert retry_after({"Retry-After": "Mon, 01 Jan 2024 00:01:30 GMT"}, now) == 90
    assert retry_after({"Retry-After": "Mon, 01 Jan 2024 00:01:30 GMT"}, now + timedelta(hours=1)) == 0
    for nothing in ({}, {"Retry-After": "soon"}, {"Retry-After": ""}, {"Retry-After": "nan"}):
        assert retry_after(nothing) is None
