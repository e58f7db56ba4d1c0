"""A process that loads runs for another one, which tells it on standard input which. See `messages`.

It ends with that other process, however that ends: at the end of its input. Whatever
is under way then is left as a kill would leave it, for the next load to go on with.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from neptune_exporter.contract import LoadedRun, Sink, SinkError
from neptune_exporter.dataset import Dataset
from neptune_exporter.interruption import end_waits
from neptune_exporter.jobs.load_run import load_run
from neptune_exporter.jobs.messages import (
    Message,
    error_message,
    key_of,
    loaded_message,
    loaded_of,
    options_of,
    report_message,
    settings_of,
)
from neptune_exporter.model import AttributeClass
from neptune_exporter.plugins import PluginRegistry
from neptune_exporter.redaction import redact


class _Answers:
    """The way back. Lines of several threads do not mix."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        self.write(json.dumps(message))

    def write(self, line: str) -> None:
        with self._lock:
            self._out.write(line + "\n")
            self._out.flush()


class _LogToParent(logging.Handler):
    def __init__(self, answers: _Answers) -> None:
        super().__init__()
        self._answers = answers

    def emit(self, record: logging.LogRecord) -> None:
        self._answers.send({"log": [record.levelno, record.name, redact(self.format(record))]})


class _Worker:
    def __init__(self, answers: _Answers, setup: Message) -> None:
        spec = PluginRegistry.discover().sink(setup["sink"])
        settings = settings_of(spec.name, spec.settings, setup["settings"])
        self._sink: Sink = spec.factory(settings, options_of(setup["options"]))
        self._dataset = Dataset(Path(setup["data_path"]), Path(setup["files_path"]))
        self._classes = frozenset(map(AttributeClass, setup["classes"]))
        self._answers = answers
        self._executor = ThreadPoolExecutor(setup["threads"])
        self._under_way = 0
        self._counting = threading.Lock()

    @property
    def is_idle(self) -> bool:
        with self._counting:
            return not self._under_way

    def take(self, message: Message) -> None:
        """Do what a message asks for."""
        if "interrupt" in message:
            self._sink.interrupt()
            end_waits()
            return
        with self._counting:
            self._under_way += 1
        self._executor.submit(self._answer, message)

    def close(self) -> None:
        self._executor.shutdown()
        self._sink.close()

    def _answer(self, message: Message) -> None:
        """Always: who asked waits for it."""
        number = {"id": message["id"]}
        try:
            line = json.dumps({**number, **self._done(message)})
        except Exception as error:  # noqa: BLE001 - one run must not cost the others
            what = key_of(message["run"]) if "run" in message else "the report"
            line = json.dumps({**number, **error_message(error, what)})
        except BaseException as error:  # noqa: BLE001 - of `pause`, and what other languages throw
            interrupted = isinstance(error, KeyboardInterrupt)
            why = "the job was interrupted" if interrupted else f"internal error: {type(error).__name__}"
            line = json.dumps({**number, **error_message(SinkError(f"not loaded: {why}"))})
        with self._counting:
            self._under_way -= 1
        self._answers.write(line)

    def _done(self, message: Message) -> Message:
        if "report" in message:
            return {"report": report_message(self._sink.closing_report())}
        return {"loaded": loaded_message(self._loaded(message))}

    def _loaded(self, message: Message) -> LoadedRun:
        key, (folder, stem) = key_of(message["run"]), message["place"]
        run = self._dataset.run_at(key, folder, stem, message["parts"])
        if run.key != key or not run.complete:
            raise SinkError("its parts have changed since the load began: load again")
        self._sink.take_over(key, message["found"])
        parent = message["parent"]
        return load_run(self._sink, run, parent and loaded_of(parent), self._classes)


def main() -> None:
    """Serve until the input ends."""
    # Signals of a terminal reach all processes of a job: whoever started this one tells what they mean.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    answers = _Answers(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # what libraries print is no answer
    first = sys.stdin.readline()
    if not first:
        return
    setup: Message = json.loads(first)
    logging.basicConfig(level=setup["level"], handlers=[_LogToParent(answers)], format="%(message)s")
    logging.captureWarnings(True)
    worker = _started(lambda: _Worker(answers, setup), setup["sink"], answers)
    if worker is None:
        return
    answers.send({"id": 0, "ready": True})
    for line in sys.stdin:
        worker.take(json.loads(line))
    if not worker.is_idle:
        os._exit(1)  # nobody waits for what is under way: as if killed
    worker.close()


def _started(make: Callable[[], _Worker], name: str, answers: _Answers) -> _Worker | None:
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - told by whoever started this process
        answers.send({"id": 0, **error_message(error, name)})
        return None


if __name__ == "__main__":
    main()
