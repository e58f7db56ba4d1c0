"""What is known of a run's load, on disk: written before and after everything that must happen only once.

One file of JSON lines per run, in a folder per account, host and target project:

    <base>/.neptune-exporter-pluto/<target>/<run>.jsonl

The first line says whose file it is. A line that a kill has cut off is the last
one and is ignored. While a load is under way the file is locked.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from neptune_exporter.contract import SinkError, UsageError
from neptune_exporter.model import RunKey
from neptune_exporter.sinks.names import digest, printable

FOLDER = ".neptune-exporter-pluto"
_MOST_READABLE = 60
READING = 2
"""Number of the way in which rows are read. In the first, points that are null were passed over, and of
several values of one path all but one."""


def check_writable(option: str, folder: Path) -> None:
    """Make a folder, and a file in it for a moment.

    Raises:
        UsageError: that cannot be done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{option}: nothing can be written in {folder}: {error.strerror}") from None


@contextmanager
def disk_errors(base_dir: Path) -> Iterator[None]:
    """Report an error of the disk with the file, or the folder where the state of loads is.

    Raises:
        SinkError: with what is wrong, and what to do.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or base_dir.absolute()
        raise SinkError(f"{where}: {error.strerror or error}{_remedy(error)}") from error


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ": free some space there, or name another folder with --pluto-base-dir"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return ": load with fewer --workers and --pluto-file-connections, or raise the limit (ulimit -n 1024)"
    return ""


@dataclass(frozen=True)
class Target:
    """Where runs are loaded to: what tells one account, Pluto and project from another."""

    account: str
    host: str
    project: str

    def folder(self, base: Path) -> Path:
        return base / FOLDER / _readable(self.project, self.account, self.host, self.project)


@dataclass(frozen=True)
class Fork:
    """Where a run branched off: the parent's run in Pluto, and a step that it has reached."""

    parent_run_id: int
    step: int
    exact: bool = field(default=True, compare=False)
    """Whether Neptune's step is this one; else it was rounded down."""
    is_last: bool = field(default=False, compare=False)
    """Whether it is the parent's last step, as Neptune's is beyond it."""

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Fork | None:
        """What Pluto tells of a run. Steps up to the parent's own fork step belong to the parent's parent."""
        parent, step = details.get("forkedFromRunId"), details.get("forkStep")
        return None if parent is None or step is None else cls(int(parent), int(step))


@dataclass
class Progress:
    """What the journal says of one generation of a run: of one run in Pluto that it was loaded into."""

    number: int
    external_id: str
    fingerprint: str
    content: str
    """Digest of the options that decide what is sent."""
    chunking: str
    """Digest of the options that decide how metrics are cut into requests."""
    mark: str
    """A random text that the run in Pluto carries too: this journal made it."""
    order: int = 1
    """In which order its rows are sent: see `data_rows.ORDER`."""
    run_id: int | None = None
    url: str = ""
    fork: Fork | None = None
    """With what the run was created; None if it is no fork of Pluto's."""
    fork_noted: bool = False
    """Whether that is known: not of another machine's run, nor in journals of before it was noted."""
    elsewhere: bool = False
    """Another machine has loaded this run whole."""
    sent: dict[str, int] = field(default_factory=dict)
    """Lines of a stream that Pluto has acknowledged."""
    sending: dict[str, int] = field(default_factory=dict)
    """Lines after a request that may or may not have arrived."""
    found: set[str] = field(default_factory=set)
    """Streams of which Pluto once had to tell how much it has."""
    metric_bodies: set[int] = field(default_factory=set)
    """Requests with metrics, by number, that Pluto has acknowledged."""
    metrics_sending: dict[int, float] = field(default_factory=dict)
    """Those that may or may not have arrived, and when they were begun, in seconds since 1970."""
    announcing: set[int] = field(default_factory=set)
    """Files whose announcement may or may not have arrived."""
    signed: dict[int, tuple[str, float]] = field(default_factory=dict)
    """By file: its upload address, and when it was given, in seconds since 1970."""
    announced: set[int] = field(default_factory=set)
    uploaded: set[int] = field(default_factory=set)
    announced_again: Counter[int] = field(default_factory=Counter)
    """By file: how many times more than once it was announced, as its address had expired."""
    reopened: bool = False
    """It was loaded whole, but reading back found something missing that may be sent again.

    All else has arrived, and is not repeated.
    """
    loaded: Mapping[str, Any] | None = None
    """What was told when the load ended; None while it has not."""
    proven: bool | None = None
    """Whether reading back agreed; None if it was not asked, or for rows as they were read then."""


class Journal:
    """The file of one run; several threads may note. What was noted survives the end of the process.

    A loss of power may take the last notes along, but for those that are `durable`:
    what is about to be sent and must not be sent twice.
    """

    def __init__(self, path: Path, identity: Mapping[str, str]) -> None:
        self._path = path
        self._identity = dict(identity)
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self.current: Progress | None = None

    @classmethod
    def of(cls, base: Path, target: Target, run: RunKey) -> Journal:
        name = _readable(run.run_id, run.project_id, run.kind.value, run.run_id)
        identity = {
            "account": target.account,
            "host": target.host,
            "target_project": target.project,
            "project": run.project_id,
            "run": run.run_id,
            "kind": run.kind.value,
        }
        return cls(target.folder(base) / f"{name}.jsonl", identity)

    @property
    def work_folder(self) -> Path:
        """For temporary files of this run's load; nobody else uses it while the journal is open."""
        return self._path.with_suffix(".work")

    def open(self) -> Journal:
        """Read what is known, and keep others out.

        Raises:
            SinkError: another process is loading this run.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        if not _lock(self._file):
            self.close()
            raise SinkError("another process is loading this run into Pluto; wait for it or end it")
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        self._file.truncate(whole)
        self._file.seek(whole)
        self._read(content[:whole])
        if not whole:
            self._write(self._identity)
        return self

    def peek(self) -> Progress | None:
        """What is known, without a lock and without creating anything."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        self._read(content[: content.rfind(b"\n") + 1])
        return self.current

    def _read(self, content: bytes) -> None:
        for number, line in enumerate(content.splitlines()[1:], 2):
            try:
                self._apply(orjson.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
                raise SinkError(
                    f"{self._path} is damaged in line {number}: nobody knows what of the run is in Pluto; "
                    "move that file away to look for the run there"
                ) from None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def note_proven(self, equal: bool) -> None:
        """Write down whether reading back agreed."""
        self._note(_proven(equal))

    def note(self, event: str, durable: bool = False, **values: Any) -> None:
        """Write down an event and apply it. `durable` also survives a loss of power."""
        self._note({"e": event, **values}, durable)

    def _note(self, record: Mapping[str, Any], durable: bool = False) -> None:
        with self._lock:
            self._write(record)
            if durable and self._file is not None:
                os.fsync(self._file.fileno())
            self._apply(record)

    def _write(self, record: Mapping[str, Any]) -> None:
        if self._file is None:
            raise ValueError("the journal is not open")
        line = orjson.dumps(record) + b"\n"
        end = self._file.tell()
        try:
            written = self._file.write(line)
        except OSError as error:
            raise SinkError(f"{self._path} cannot be written: {error.strerror}{_remedy(error)}") from None
        if written != len(line):  # a line that is cut short would spoil the next one
            self._file.truncate(end)
            self._file.seek(end)
            full = OSError(errno.ENOSPC, "the disk is full")
            raise SinkError(f"{self._path} cannot be written: {full.strerror}{_remedy(full)}")

    def compact(self) -> None:
        """Forget how a finished load came about: addresses and positions are of no use any more."""
        now = self.current
        if now is None or now.loaded is None:
            return
        records: list[Mapping[str, Any]] = [
            self._identity,
            _begin(now),
            {"e": "elsewhere" if now.elsewhere else "run", "run_id": now.run_id, "url": now.url}
            | (fork_record(now.fork) if now.fork_noted else {}),
            {"e": "loaded", "result": now.loaded},
        ]
        if now.announced_again:
            again = {str(file): count for file, count in now.announced_again.items()}
            records.append({"e": "announced-again", "files": again})
        if now.proven is not None:
            records.append(_proven(now.proven))
        fresh = self._path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(b"".join(orjson.dumps(record) + b"\n" for record in records))
            file.flush()
            os.fsync(file.fileno())
        self.close()
        fresh.replace(self._path)

    def _apply(self, record: Mapping[str, Any]) -> None:
        event = record["e"]
        if event == "begin":
            self.current = Progress(
                record["generation"],
                record["external_id"],
                record["fingerprint"],
                record["content"],
                record["chunking"],
                record["mark"],
                record.get("order", 1),
            )
            return
        now = self.current
        if now is None:
            raise ValueError(f"a journal does not begin with {event!r}")
        if event in ("run", "elsewhere"):
            now.elsewhere = event == "elsewhere"
            now.run_id, now.url = record["run_id"], record["url"]
            now.fork_noted = "fork" in record
            now.fork = Fork(*record["fork"]) if record.get("fork") is not None else None
        elif event == "sending":
            now.sending[record["stream"]] = record["upto"]
        elif event == "sent":
            now.sent[record["stream"]] = record["upto"]
            now.sending.pop(record["stream"], None)
            if record.get("found"):
                now.found.add(record["stream"])
        elif event == "unsent":
            now.sending.pop(record["stream"], None)
        elif event == "chunking":
            now.chunking = record["chunking"]
            now.metric_bodies.clear()
            now.metrics_sending.clear()
        elif event == "metrics-sending":
            now.metrics_sending[record["body"]] = record["at"]
        elif event == "metrics":
            now.metric_bodies.add(record["body"])
            now.metrics_sending.pop(record["body"], None)
        elif event == "announcing":
            now.announcing.update(record["files"])
        elif event == "not-announced":
            now.announcing.difference_update(record["files"])
        elif event == "signed":
            signed = {int(i): (url, record["at"]) for i, url in record["urls"].items()}
            now.announcing.difference_update(signed)
            now.announced_again.update(now.announced.intersection(signed))
            now.signed.update(signed)
            now.announced.update(signed)
        elif event == "announced-again":
            now.announced_again.update({int(file): count for file, count in record["files"].items()})
        elif event == "uploaded":
            now.uploaded.add(record["file"])
            now.signed.pop(record["file"], None)
        elif event == "loaded":
            now.loaded = record["result"]
        elif event == "reopened":
            now.loaded, now.proven, now.reopened = None, None, True
            now.metric_bodies.clear()
            now.metrics_sending.clear()
        elif event == "proven":
            now.proven = record["equal"] if record.get("reading") == READING else None


def fork_record(fork: Fork | None) -> dict[str, Any]:
    """For the note of a run: a parent's run and a step, or nothing."""
    return {"fork": None if fork is None else [fork.parent_run_id, fork.step, fork.exact, fork.is_last]}


def _proven(equal: bool) -> Mapping[str, Any]:
    return {"e": "proven", "equal": equal, "reading": READING}


def _begin(progress: Progress) -> Mapping[str, Any]:
    return {
        "e": "begin",
        "generation": progress.number,
        "external_id": progress.external_id,
        "fingerprint": progress.fingerprint,
        "content": progress.content,
        "chunking": progress.chunking,
        "mark": progress.mark,
        "order": progress.order,
    }


def _readable(name: str, *identity: str) -> str:
    """A file name that a person recognises and that no other identity has."""
    clean = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in printable(name))
    return f"{clean[:_MOST_READABLE]}-{digest(*identity)}"


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> bool:
        try:
            file.seek(2**30)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        file.seek(0)
        return True

else:
    import fcntl

    def _lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
