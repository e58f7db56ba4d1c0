"""Lets a child process read parts of unknown origin first, and remembers what they hold."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read import refused
from neptune_exporter.dataset.read.facts import PartFacts
from neptune_exporter.dataset.read.probe import READY, unpacked
from neptune_exporter.dataset.read.refused import Refusal, Stamp
from neptune_exporter.dataset.read.time_limit import TimeLimit
from neptune_exporter.location import Location

_TOGETHER = 16
"""This many parts share a request and its answer: few enough for the pipe."""
_TOGETHER_BYTES = 1 << 20
"""Parts that share a request are at most this large, because the child holds all of them in memory."""
_AHEAD = 2
"""This many requests are sent before an answer is read, so that the child never waits."""
_MOST = 1024
"""The results of this many parts are remembered: memory must not grow with the dataset."""
_START_SECONDS = 120.0
_END_SECONDS = 10.0
_SECONDS, _BYTES_A_SECOND = 120.0, 1 << 20
"""A part may take this many seconds, plus its size at this many bytes a second. A slow network disk is ten
times as fast."""
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline());"
    "from neptune_exporter.dataset.read.probe import main; main()"
)
"""The child gets its import path from here, and starts without the module `site` (`-S`): packages may make
that import them at every start, and the SDK of Pluto takes 0.3 s."""
_FAILED = "exit code 1"
"""An exception that Python did not catch. Damage ends a process by a signal, or with a code of the system."""
_FROM_OUTSIDE = frozenset({"SIGKILL", "SIGTERM", "SIGHUP"})
"""Signals that say nothing about the part: the system or a person sent them."""


@dataclass(frozen=True)
class _Ended:
    """How the child process ended."""

    how: str
    """The name of a signal, or the exit code."""
    hung: bool = False
    """Whether it was ended because it took too long."""


class Probed:
    """The results for the parts in one folder of data. Thread-safe."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._guard = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._facts: OrderedDict[str, tuple[Stamp, PartFacts]] = OrderedDict()

    def facts(self, storage: Storage, path: str, *, decode: bool = False) -> PartFacts | None:
        """What the part holds; None if that is not known (with `decode`: from every row), or the part has
        changed. Raises DatasetError if its probe found damage, or damage ended the probe."""
        refused.check(storage, path)
        return self._known(path, storage.stamp(path), decode)

    def _known(self, path: str, stamp: Stamp, decode: bool) -> PartFacts | None:
        known = self._facts.get(path)
        if known is None or known[0] != stamp or (decode and known[1].decoded is None):
            return None
        return known[1]

    def learn(self, path: str, stamp: Stamp, facts: PartFacts) -> None:
        """Remember what a part holds, as long as it has this stamp."""
        self._facts[path] = stamp, facts
        while len(self._facts) > _MOST:
            self._facts.popitem(last=False)

    def probe(self, storage: Storage, paths: Iterable[str], *, decode: bool = False) -> None:
        """Let the child process read parts, unless their content is known.

        If the child ends, a second child reads each part of that request alone. Only if that one ends too,
        and no signal from outside ended it, the part is damaged. A part that takes too long counts as unread,
        but not as damaged.

        With `decode` it decodes every row, and not only what counting needs. Raises DatasetError if the child
        process cannot be started.
        """
        with self._guard:
            stamps = {path: storage.stamp(path) for path in paths}
            refused.forget_passing(storage, stamps)
            unknown = [path for path in stamps if self._is_unknown(storage, path, stamps[path], decode)]
            left = deque(_within_limits(unknown, stamps))
            while left and (ended := self._ask(storage, left, stamps, decode)):
                several = left.popleft()
                for path in several:
                    hung = ended.hung and len(several) == 1  # it would again
                    alone = ended if hung else self._ask(storage, deque([[path]]), stamps, decode)
                    if alone is not None:
                        self._give_up(storage, path, stamps[path], alone)

    def rest(self) -> None:
        """End the child process; the next part starts another."""
        with self._guard:
            if self._child is not None:
                _end(self._child)
                self._child = None

    def _is_unknown(self, storage: Storage, path: str, stamp: Stamp, decode: bool) -> bool:
        try:
            refused.check(storage, path)
        except DatasetError:
            return False
        return self._known(path, stamp, decode) is None

    def _ask(
        self, storage: Storage, left: deque[list[str]], stamps: Mapping[str, Stamp], decode: bool
    ) -> _Ended | None:
        """Remove the answered parts from `left`. Returns how the child ended, if it did."""
        child = self._running()
        try:
            with TimeLimit(child.kill) as limit:
                return self._answers(child, limit, storage, left, stamps, decode)
        except BaseException:
            child.kill()  # its remaining answers belong to earlier questions
            self._how_it_ended(child)
            raise

    def _answers(
        self,
        child: subprocess.Popen[bytes],
        limit: TimeLimit,
        storage: Storage,
        left: deque[list[str]],
        stamps: Mapping[str, Stamp],
        decode: bool,
    ) -> _Ended | None:
        assert child.stdin is not None and child.stdout is not None
        sent = 0
        while left:
            with contextlib.suppress(OSError):  # it ended: read only what it has already written
                while sent < min(_AHEAD, len(left)):
                    sent += 1
                    child.stdin.write(
                        json.dumps({"paths": left[sent - 1], "decode": decode}).encode() + b"\n"
                    )
                child.stdin.flush()
            limit.restart(_seconds_for(sum(_size(stamps[path]) for path in left[0])))
            line = child.stdout.readline()
            if not line.endswith(b"\n"):
                return _Ended(self._how_it_ended(child), hung=limit.is_over)
            sent -= 1
            for path, answer in zip(left.popleft(), unpacked(line), strict=True):
                self._take(storage, path, stamps[path], answer)
        return None

    def _take(self, storage: Storage, path: str, stamp: Stamp, answer: dict[str, Any]) -> None:
        if "error" in answer:
            found = answer.get("identity")
            identity = None if found is None else (str(found[0]), str(found[1]))
            message = f"{storage.describe(path)} {answer['error']}"  # the child knows only absolute paths
            refused.refuse(storage, path, Refusal(stamp, message, "passing" in answer, identity))
        else:
            self.learn(path, stamp, PartFacts.from_json(answer["facts"]))

    def _give_up(self, storage: Storage, path: str, stamp: Stamp, ended: _Ended) -> None:
        where = storage.describe(path)
        passing = ended.hung or ended.how in {*_FROM_OUTSIDE, _FAILED}
        if ended.hung:
            message = f"{where} was not read: that took more than {_seconds_for(_size(stamp)):.0f} s"
        elif ended.how == _FAILED:
            message = (
                f"{where} was not read: the process that reads it failed ({_FAILED}), whatever the part holds"
            )
        elif passing:
            how = f"ended twice from outside ({ended.how}), as happens where memory runs out"
            message = f"{where} was not read: the process that reads it was {how}"
        else:
            message = f"{where} is damaged: reading it ended the process ({ended.how})"
        refused.refuse(storage, path, Refusal(stamp, message, passing))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            child = subprocess.Popen(
                [sys.executable, "-S", "-c", _START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # numpy's threads would wait at full speed
            )
            weakref.finalize(self, _end, child)
            _let_others_rest(self)
            with TimeLimit(child.kill) as limit:
                limit.restart(_START_SECONDS)
                ready = self._introduced(child)
            if not ready:
                how = self._how_it_ended(child)
                raise DatasetError(f"the process that is to read other tools' parts first ended with {how}")
            self._child = child
        return self._child

    def _introduced(self, child: subprocess.Popen[bytes]) -> bool:
        """Send the place of the parts through the pipe, because a process list would show credentials."""
        assert child.stdin is not None and child.stdout is not None
        where = {"address": self._location.address, "options": self._location.pairs()}
        with contextlib.suppress(OSError):  # it has ended, so it will not answer
            for line in (sys.path, where):
                child.stdin.write(json.dumps(line).encode() + b"\n")
            child.stdin.flush()
        return child.stdout.readline() == READY

    def _how_it_ended(self, child: subprocess.Popen[bytes]) -> str:
        self._child = None
        _end(child)
        code = child.returncode
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _within_limits(paths: Iterable[str], stamps: Mapping[str, Stamp]) -> Iterator[list[str]]:
    """The parts of each request, in the given order: `_TOGETHER` and `_TOGETHER_BYTES` limit them."""
    several: list[str] = []
    held = 0
    for path in paths:
        size = _size(stamps[path])
        if len(several) == _TOGETHER or (several and held + size > _TOGETHER_BYTES):
            yield several
            several, held = [], 0
        several.append(path)
        held += size
    if several:
        yield several


def _size(stamp: Stamp) -> int:
    return stamp[0] if stamp else 0


def _seconds_for(size: int) -> float:
    """How many seconds parts of this size may take."""
    return _SECONDS + size / _BYTES_A_SECOND


_at_work: weakref.ref[Probed] | None = None


def _let_others_rest(worker: Probed) -> None:
    """End the child process of the folder before: one is enough. It stays for the next part, because starting
    one takes half a second."""
    global _at_work
    last = None if _at_work is None else _at_work()
    _at_work = weakref.ref(worker)
    if last is not None and last is not worker:
        last.rest()


def _end(child: subprocess.Popen[bytes]) -> None:
    """Close its input, which ends it, unless it hangs."""
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:  # data that was not written before the process ended
                continue
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


_probed: weakref.WeakKeyDictionary[Storage, Probed] = weakref.WeakKeyDictionary()
_guard = threading.Lock()


def probed(storage: Storage) -> Probed:
    """The results for the parts of a folder of data, as long as that folder is in use."""
    with _guard:
        if storage not in _probed:
            _probed[storage] = Probed(storage.location.absolute())
        return _probed[storage]
