"""A load in several processes, for Python runs on one core in each. The job stays in this one.

Which run is loaded when, what became of it and what is told about it: all of that is
as in a load in one process. Only `Sink.load` happens elsewhere.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from neptune_exporter.contract import (
    Comparison,
    ExportedRun,
    LoadedRun,
    LoadOptions,
    NeptuneExporterError,
    Sink,
    SinkError,
    SinkSpec,
    UsageError,
)
from neptune_exporter.dataset import Dataset, StoredRun
from neptune_exporter.jobs.messages import (
    Message,
    error_of,
    key_message,
    loaded_message,
    loaded_of,
    options_message,
    settings_message,
)
from neptune_exporter.jobs.waiting import first_done
from neptune_exporter.model import ALL_CLASSES, AttributeClass

_END_WITHIN = 30.0
_RUNS_WORTH_A_PROCESS = 100
"""It takes a second to start, and some 150 MB."""
_MODULE = "neptune_exporter.jobs.load_worker"
# A module in the folder that a person happens to be in must not take the place of another.
if sys.version_info >= (3, 11):
    _PROGRAM = ["-P", "-m", _MODULE]
else:
    _PROGRAM = ["-c", f"import sys; del sys.path[0]; from {_MODULE} import main; main()"]
_log = logging.getLogger(__name__)


def in_processes(
    sink: Sink,
    spec: SinkSpec,
    settings: object,
    options: LoadOptions,
    dataset: Dataset,
    processes: int,
    workers: int,
    classes: frozenset[AttributeClass] = ALL_CLASSES,
) -> Sink:
    """A sink that has `load` done in so many processes, with as many workers in all.

    Args:
        settings: For each of them: see `divided`.
    """
    setup = {
        "sink": spec.name,
        "settings": settings_message(spec.name, settings),
        "options": options_message(options),
        "data_path": str(dataset.data_path),
        "files_path": str(dataset.files_path),
        "classes": sorted(c.value for c in classes),
        "threads": -(-workers // processes),
        "level": logging.getLogger().getEffectiveLevel(),
    }
    return _ProcessSink(sink, setup, processes)


def divided(
    spec: SinkSpec, settings: object, asked: int | None, *, runs: int, workers: int
) -> tuple[int, object]:
    """How many processes a load is done in, and the settings for each of them.

    Args:
        asked: Not more than there are runs. None: as many as there are cores and workers, if the loader
            can and each gets so many runs that it is worth its start.

    Raises:
        UsageError: this loader, or with these settings, does not load in so many processes as were asked for.
    """
    if asked is None:
        for processes in range(min(_cores(), workers, runs // _RUNS_WORTH_A_PROCESS), 1, -1):
            with contextlib.suppress(UsageError):
                return divided(spec, settings, processes, runs=runs, workers=workers)
        return 1, settings
    processes = max(1, min(asked, runs))
    if processes == 1:
        return 1, settings
    if spec.divided is None:
        raise UsageError(f"--processes: the loader {spec.name} loads in one process only")
    return processes, spec.divided(settings, processes)


def _cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _ProcessSink(Sink):
    """Everything but `load` is the sink's own. `load` is what `load_run` does, in another process."""

    def __init__(self, sink: Sink, setup: Message, processes: int) -> None:
        self._sink = sink
        self._setup = setup
        self._lock = threading.Lock()
        self._interrupted = False
        self._workers: list[_Worker] = []
        try:
            for _ in range(processes):
                self._workers.append(_Worker(setup))
        except BaseException:
            self._end()
            raise

    def prepare(self, project_id: str, runs: Sequence[ExportedRun]) -> None:
        self._sink.prepare(project_id, runs)
        for worker in self._workers:  # they have started meanwhile
            first_done([worker.started])
            worker.started.result()

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        assert isinstance(run, StoredRun)  # the job loads from a dataset on disk
        request = {
            "run": key_message(run.key),
            "place": [run.place.folder, run.place.stem],
            "parts": list(run.part_names),
            "found": self._sink.hand_over(run.key),
            "parent": parent and loaded_message(parent),
        }
        with self._lock:
            worker = min(self._workers, key=lambda each: (each.under_way, each.ended))
            if worker.ended and not self._interrupted:
                self._workers.remove(worker)
                worker.end()
                worker = _Worker(self._setup)
                self._workers.append(worker)
            answer = worker.ask(request)
        return loaded_of(answer.result()["loaded"])

    def interrupt(self) -> None:
        with self._lock:
            self._interrupted = True
            workers = list(self._workers)
        self._sink.interrupt()
        for worker in workers:
            worker.interrupt()

    def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
        return self._sink.verify(run, full=full)

    def closing_report(self) -> Mapping[str, str | int]:
        report = dict(self._sink.closing_report())
        asked = [worker.ask({"report": True}) for worker in self._workers if worker.is_ready]
        for answer in asked:
            first_done([answer])
            if isinstance(answer.exception(), NeptuneExporterError):
                continue  # what was loaded is loaded
            for label, value in answer.result()["report"].items():
                report[label] = _joined(report[label], value) if label in report else value
        return report

    def close(self) -> None:
        self._end()
        self._sink.close()

    def _end(self) -> None:
        for worker in self._workers:
            worker.close_input()
        for worker in self._workers:
            worker.end()


def _joined(one: str | int, other: str | int) -> str | int:
    """What two processes tell under one label."""
    if isinstance(one, int) and isinstance(other, int):
        return one + other
    return f"{one}; {other}"


class _Worker:
    """One process. Its answers are read by a thread, as they come."""

    def __init__(self, setup: Message) -> None:
        self._process = _started()
        assert self._process.stdin is not None and self._process.stdout is not None  # they are pipes
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.started: Future[Message] = Future()
        """Done once it is ready, or cannot start."""
        self._waiting: dict[int, Future[Message]] = {0: self.started}
        self._why_ended: NeptuneExporterError | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.tell(setup)

    @property
    def ended(self) -> bool:
        """Whether it has ended, which nobody asked it to."""
        return self._why_ended is not None

    @property
    def is_ready(self) -> bool:
        return self.started.done() and self.started.exception() is None and not self.ended

    @property
    def under_way(self) -> int:
        """Requests without an answer."""
        with self._lock:
            return len(self._waiting)

    def ask(self, request: Message) -> Future[Message]:
        """Send a request. Its answer comes, or the error that is the answer, or that the process ended."""
        answer: Future[Message] = Future()
        with self._lock:
            number = next(self._numbers)
            if self._why_ended is None:
                self._waiting[number] = answer
            else:
                answer.set_exception(self._why_ended)
        self.tell({"id": number, **request})
        return answer

    def tell(self, message: Message) -> None:
        """Send what has no answer."""
        with self._lock, contextlib.suppress(OSError, ValueError):  # it has ended: the reader tells that
            self._stdin.write(json.dumps(message) + "\n")
            self._stdin.flush()

    def interrupt(self) -> None:
        """Let it break off what is under way. One that is starting does not listen, and holds nothing."""
        if self.started.done():
            self.tell({"interrupt": True})
        else:
            self._process.kill()

    def close_input(self) -> None:
        """Have it end; what is under way is broken off."""
        with self._lock, contextlib.suppress(OSError):
            self._stdin.close()
        if not self.started.done():
            self._process.kill()

    def end(self) -> None:
        """Have it end, and wait for that. Harmless to repeat."""
        self.close_input()
        try:
            self._process.wait(_END_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join()
        self._stdout.close()

    def _read(self) -> None:
        try:
            for line in self._stdout:
                self._take(json.loads(line))
        except (ValueError, KeyError) as error:  # it was killed in the middle of a line
            _log.debug("process %s: %s", self._process.pid, error)
        finally:
            self._process.kill()  # one that is not understood is of no more use
            self._give_up(self._process.wait())

    def _take(self, message: Mapping[str, Any]) -> None:
        if "log" in message:
            level, name, text = message["log"]
            logging.getLogger(name).log(level, "%s", text)
            return
        with self._lock:
            answer = self._waiting.pop(message["id"])
        if "error" in message:
            answer.set_exception(error_of(message))
        else:
            answer.set_result(message)

    def _give_up(self, code: int) -> None:
        """It has ended: nothing that waits for it gets an answer."""
        refused = self.started.exception() if self.started.done() else None
        with self._lock:
            self._why_ended = refused if isinstance(refused, NeptuneExporterError) else _ended(code)
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for answer in waiting:
            answer.set_exception(self._why_ended)


def _started() -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            [sys.executable, *_PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            # A terminal's Ctrl-C is for the job: it tells its processes what that means.
            start_new_session=True,
        )
    except OSError as error:
        raise SinkError(f"no process to load in can be started: {error.strerror}") from error


def _ended(code: int) -> SinkError:
    how = f"by signal {-code}" if code < 0 else f"with code {code}"
    return SinkError(f"the process that loaded it ended {how}: load again to go on with it")
