"""The base class of loaders: an author writes only what is specific to the target.

Only the target knows whether a run was loaded. `begin` makes a run there, with the mark by which `find`
finds it again from any machine. `finish` gives it a record, which is the last thing that is written. A run
without a record is what a killed load left: the next load discards it and begins again. So a load may be
killed at any byte: after the next load the target has the run once and whole. No journal is needed.

The record also says whether the run was compared after its load and nothing was wrong. If not, because what
was sent did not arrive or nobody looked, the next load compares it, and loads it again if anything is wrong.

Two loads of the same run at the same time leave one run. A load looks for others of its run before it
finishes and again afterwards, and the run that `find` lists first stays. A load that finds an unfinished run
when it begins cannot know whether another load was killed or is at work. It discards that run, so that the
other load fails if it is at work.
"""

from __future__ import annotations

import json
import logging
import tempfile
import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

from neptune_exporter.contract import (
    Comparison,
    DatasetError,
    ExportedRun,
    LoadedRun,
    LoadOptions,
    ParameterValue,
    Sink,
    SinkCapabilities,
    SinkError,
    Verdict,
)
from neptune_exporter.model import RunKey
from neptune_exporter.sinks.comparing import Comparer, Held, damage
from neptune_exporter.sinks.files import RESTORABLE, lost_files
from neptune_exporter.sinks.found import Found as Found  # every loader needs both
from neptune_exporter.sinks.losses import COMMON_MESSAGES, CommonLoss, LossBook
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.names import NameRule
from neptune_exporter.sinks.points import Order, Points, SeriesOrder
from neptune_exporter.sinks.received import Entries, FileToSend, HistogramValue, Receiver
from neptune_exporter.sinks.steps import Multiplier, StepRange
from neptune_exporter.sinks.survey import joined, look_at_steps, multipliers
from neptune_exporter.sinks.walk import Walk
from neptune_exporter.toolkit.filekinds import FileKind

_log = logging.getLogger(__name__)


class Loader(Sink):
    """Subclass it, declare limits, and write what is the target's own.

    `load` and `verify` are called from several threads for different runs, unless the capabilities say
    `max_workers=1`. Errors of the target are raised as `SinkError`.

    Examples:
        A part of a loader; `examples/sqlite_loader` is a whole one.

        >>> class AcmeLoader(Loader):
        ...     capabilities = SinkCapabilities(lowest_step=0, verifies=True)
        ...     names = NameRule(250, "characters")
        ...     def begin(self, run):
        ...         return self.client.create(name=run.name, tag=run.mark, created_at=run.created)
        ...     def find(self, mark):
        ...         return [Found(run.id, run.note) for run in self.client.runs(tag=mark)]
        >>> sorted(AcmeLoader.__abstractmethods__)  # what is left to write
        ['discard', 'file', 'finish', 'parameters', 'points', 'read_back', 'replace_record']
    """

    capabilities: ClassVar[SinkCapabilities]
    """The same as in the `SinkSpec`. Numbers outside of these limits never reach the hooks."""
    names: ClassVar[NameRule] = NameRule()
    """For parameters and series."""
    file_names: ClassVar[NameRule] = NameRule()
    """For `FileToSend.unique_name`."""
    by_step: ClassVar[bool] = False
    """Points come ordered by step, not by series and then step."""
    tables: ClassVar[bool] = False
    """How texts go into files. True: one CSV file a series, with console output as plain text beside it.
    False: one JSON line an entry."""
    infinity: ClassVar[float | None] = None
    """The number that the target stores in place of infinity, if there is one. Points have it instead of
    infinity; the manifest lists points whose value really is this number."""

    messages: ClassVar[Mapping[str, str]] = COMMON_MESSAGES
    """One sentence for each reason of a loss: the common ones, and those of `own_losses`."""

    def __init__(self, options: LoadOptions) -> None:
        self.options = options
        self._multipliers: dict[RunKey, Multiplier] = {}
        self._interrupted = threading.Event()

    # --- what an author writes

    @abstractmethod
    def find(self, mark: str) -> Sequence[Found]:
        """All runs with this mark, without discarded ones, in an order that is the same on every machine."""

    @abstractmethod
    def discard(self, target_id: str) -> None:
        """Remove a run with all that it has; nothing happens if it is not there."""

    def discard_unfinished(self, target_id: str) -> None:
        """As `discard`, for a run that had no record when it was found.

        Override it if the target can look and remove in one step: then raise SinkError for a run that another
        load has finished meanwhile, because that load says that the run is there.
        """
        self.discard(target_id)

    @abstractmethod
    def begin(self, run: RunMetadata) -> str:
        """Make a run that is not finished, with its mark, name, times and fork parent.

        Returns:
            The id of the run in the target, a new one each time.
        """

    @abstractmethod
    def parameters(self, target_id: str, values: Mapping[str, ParameterValue]) -> None:
        """Write all parameters, by name. Called once a load."""

    @abstractmethod
    def points(self, target_id: str, names: Sequence[str], points: Points) -> None:
        """Write a batch of about 100,000 points; `points.series` are indices into `names`."""

    def texts(self, target_id: str, entries: Entries[str]) -> None:
        """Write entries of string series. If it is not overridden, they go into a file."""
        raise NotImplementedError

    def histograms(self, target_id: str, entries: Entries[HistogramValue]) -> None:
        """Write histograms. If it is not overridden, they go into a file."""
        raise NotImplementedError

    @abstractmethod
    def file(self, target_id: str, file: FileToSend) -> None:
        """Write a file. The last one is the manifest: changed names, types of parameters, files, losses."""

    @abstractmethod
    def finish(self, target_id: str, run: RunMetadata, record: str) -> None:
        """Give the run its end and status, and then, last of all, the record (less than 500 characters)."""

    @abstractmethod
    def replace_record(self, target_id: str, record: str) -> None:
        """Give a finished run another record. Raises SinkError if another load has removed the run."""

    @abstractmethod
    def read_back(self, target_id: str) -> Held:
        """What the target holds of the run, read with the target's own means."""

    def own_losses(self, target_id: str) -> Mapping[str, int]:
        """What the hooks could not write, by a reason in `messages`; asked before `finish`."""
        return {}

    def url(self, target_id: str) -> str | None:
        """Where a person sees the run."""
        return None

    def shown_name(self, path: str, step: int, time: int, kind: FileKind) -> str | None:
        """The name of a file of a series, if the target shows files by name. None: the usual name."""
        return None

    # --- steps

    def prepare(self, project_id: str, runs: Sequence[ExportedRun]) -> Mapping[RunKey, object]:
        """Find one multiplier of steps for all runs of the project."""
        if self.options.step_multiplier is not None:
            asked = Multiplier.of(self.options.step_multiplier)
            chosen = {run.key: asked for run in runs}
            self._multipliers |= chosen
            return chosen
        within, surveys = self.steps, {}
        for run in runs:
            try:
                surveys[run.key] = look_at_steps(run, within)
            except DatasetError as error:  # loading this run will report it
                _log.debug("%s: %s", run.key, error)
        found = multipliers(surveys, joined(surveys.values(), within).multiplier)
        self._multipliers |= found
        return found

    def _multiplier(self, run: ExportedRun) -> Multiplier:
        if run.key not in self._multipliers:
            look_at_steps(run, self.steps)  # raises what is wrong with a damaged run
            self.prepare(run.key.project_id, [run])
        return self._multipliers[run.key]

    @property
    def steps(self) -> StepRange:
        """The steps that the target takes."""
        lowest, highest = self.capabilities.lowest_step, self.capabilities.highest_step
        return StepRange(-(2**63) if lowest is None else lowest, 2**63 - 1 if highest is None else highest)

    @property
    def made(self) -> frozenset[str]:
        """`texts` and `histograms`: those that go into files, as the target has no place for them."""
        mine, own = type(self), ("texts", "histograms")
        return frozenset(what for what in own if getattr(mine, what) is getattr(Loader, what))

    # --- loading

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        if isinstance(run.found, Multiplier):  # `prepare` may have been called in another process
            self._multipliers[run.key] = run.found
        parent_id = parent.target_id if parent is not None else None
        metadata = RunMetadata.of(run, self.options.name_prefix, parent_id)
        found = self.find(metadata.mark)
        current = next((f for f in found if self._is_current(f, run, metadata)), None)
        for each in found:
            if not each.record:
                self.discard_unfinished(each.target_id)
            elif current is not None and each is not current:
                self.discard(each.target_id)
        if current is not None:
            if self._has_arrived(run, current):
                return self._loaded_before(run, current)
            self.discard(current.target_id)
        loaded = self._load(run, metadata)
        for each in found:
            if each.record:  # an older state of the run, which stays until the new one is complete
                self.discard(each.target_id)
        return loaded

    def _has_arrived(self, run: ExportedRun, found: Found) -> bool:
        """Whether nothing is wrong with a loaded run: then no later load compares it."""
        if found.is_compared or not self.capabilities.verifies:
            return True
        if wrong := next(damage(self.verify(run)), None):
            _log.warning("%s: loaded again, as it did not arrive as a whole: %s", run.key, wrong.item)
            return False
        self.confirm(run)
        return True

    def confirm(self, run: ExportedRun) -> None:
        for found in [f for f in self.find(RunMetadata.mark_of(run.key)) if f.record][:1]:
            if not found.is_compared:
                self.replace_record(found.target_id, found.record_compared())

    def _load(self, run: ExportedRun, metadata: RunMetadata) -> LoadedRun:
        multiplier = self._multiplier(run)
        target_id = self.begin(metadata)
        losses = self._losses(metadata)
        with tempfile.TemporaryDirectory(prefix="neptune-exporter-") as folder:
            order = Order() if self.by_step else SeriesOrder()
            walk = Walk(run, metadata, self, multiplier, order, Path(folder), losses)
            walk.hand_to(self._receiver(target_id))
        losses.add_all(self.own_losses(target_id))
        self.file(target_id, walk.manifest())
        record = self._record(run, metadata, multiplier, losses)
        other = self._finished_by_other(metadata, target_id, run)
        if other is not None:
            return self._loaded_before(run, other)
        self.finish(target_id, metadata, record)
        target_id = self._one_of_whole(run, metadata, target_id)
        return LoadedRun(target_id, self.url(target_id), False, dict(walk.counts), losses.losses())

    def _losses(self, metadata: RunMetadata) -> LossBook:
        """The losses of a run, before its rows are read."""
        is_fork_of_none = metadata.fork_parent is not None and metadata.parent_id is None
        losses = LossBook(metadata.key, self.messages)
        losses.add(CommonLoss.FORK_NOT_NATIVE, int(is_fork_of_none))
        return losses

    def _receiver(self, target_id: str) -> Receiver:
        """The hooks, for one run of the target."""
        hooks = ("parameters", "points", "texts", "histograms", "file")
        return cast(Receiver, SimpleNamespace(**{h: partial(getattr(self, h), target_id) for h in hooks}))

    def _finished_by_other(self, metadata: RunMetadata, target_id: str, run: ExportedRun) -> Found | None:
        """If a run is loaded several times at once, only one load may finish: the first that `find` lists.

        Returns the run of another load that has finished meanwhile, after discarding this one's. Raises
        SinkError if another load has begun the run, and goes on with it.
        """
        found = self.find(metadata.mark)
        current = next((f for f in found if self._is_current(f, run, metadata)), None)
        unfinished = [f.target_id for f in found if not f.record]
        if current is None and unfinished[:1] == [target_id]:
            return None
        self.discard(target_id)
        if current is None:
            raise SinkError(f"{run.key}: another load has begun it at the same time and goes on with it")
        return current

    def _one_of_whole(self, run: ExportedRun, metadata: RunMetadata, target_id: str) -> str:
        """If two loads have both finished, each keeps the run that `find` lists first: the same for both.

        Both can finish if each looked for others before the other's run could be seen: a machine stood still
        meanwhile, or the clocks of two machines differ.
        """
        whole = [f.target_id for f in self.find(metadata.mark) if self._is_current(f, run, metadata)]
        for other in whole[1:]:
            self.discard(other)
        return whole[0] if whole else target_id

    def _loaded_before(self, run: ExportedRun, found: Found) -> LoadedRun:
        """The result of an earlier load, with its losses: they still count for the exit code."""
        losses = LossBook(run.key, self.messages)
        losses.add_all(json.loads(found.record)["losses"])
        return LoadedRun(found.target_id, self.url(found.target_id), True, losses=losses.losses())

    def _record(
        self, run: ExportedRun, metadata: RunMetadata, multiplier: Multiplier, losses: LossBook
    ) -> str:
        """The record of a load: what must be equal for the run to count as loaded, and what was lost."""
        record = {
            "fingerprint": run.fingerprint,
            "prefix": self.options.name_prefix,
            "multiplier": str(multiplier),
            "parent": metadata.parent_id,
            "losses": losses.by_reason(),
        }
        return json.dumps(record)

    def _is_current(self, found: Found, run: ExportedRun, metadata: RunMetadata) -> bool:
        """Whether a run of the target is complete, and was loaded from this export with these options."""
        if not found.record:
            return False
        record = json.loads(found.record)
        asked = self.options.step_multiplier
        lost = sum(count for reason, count in record["losses"].items() if reason in RESTORABLE)
        return (
            record["fingerprint"] == run.fingerprint
            and not (lost and lost_files(run) < lost)
            and record["prefix"] == self.options.name_prefix
            and (metadata.parent_id is None or record["parent"] == metadata.parent_id)
            and (asked is None or record["multiplier"] == str(Multiplier.of(asked)))
        )

    def interrupt(self) -> None:
        self._interrupted.set()

    def check_interrupted(self) -> None:
        """Raise SinkError if the job ends."""
        if self._interrupted.is_set():
            raise SinkError("the load was interrupted; the next one begins this run again")

    # --- comparing

    def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
        metadata = RunMetadata.of(run)
        found = self.find(metadata.mark)
        whole = [f for f in found if f.record]
        if not whole:
            state = "the load has not come to its end: load again" if found else "not in the target"
            yield Comparison(run.key, "run", Verdict.MISSING, run.key.run_id, state)
            return
        for more in whole[1:]:
            yield Comparison(run.key, "run", Verdict.EXTRA, whole[0].target_id, more.target_id)
        record: dict[str, Any] = json.loads(whole[0].record)
        if record["fingerprint"] != run.fingerprint:
            yield Comparison(run.key, "export", Verdict.DIFFERENT, run.fingerprint, record["fingerprint"])
        metadata = replace(
            metadata, name=record["prefix"] + metadata.name, parent_id=self._parent_id(metadata, record)
        )
        yield from self._compare(run, metadata, whole[0].target_id, record, full=full)

    def _parent_id(self, metadata: RunMetadata, record: Mapping[str, Any]) -> str | None:
        """The id of the fork parent in the target now; the recorded one if it is no longer there."""
        if metadata.fork_parent is None or record["parent"] is None:
            return None
        parent = self.find(RunMetadata.mark_of(metadata.fork_parent))
        current = [f.target_id for f in parent if f.record]
        recorded: str = record["parent"]
        return recorded if not current or recorded in current else current[0]

    def _compare(
        self,
        run: ExportedRun,
        metadata: RunMetadata,
        target_id: str,
        record: Mapping[str, Any],
        *,
        full: bool,
    ) -> Iterator[Comparison]:
        losses = self._losses(metadata)
        losses.add_all({k: n for k, n in record["losses"].items() if k not in COMMON_MESSAGES})
        comparer = Comparer(run.key, self.read_back(target_id), self.capabilities, full=full)
        with tempfile.TemporaryDirectory(prefix="neptune-exporter-") as folder:
            multiplier = Multiplier.of(Decimal(record["multiplier"]))
            walk = Walk(run, metadata, self, multiplier, SeriesOrder(), Path(folder), losses)
            comparer.metadata(metadata)
            walk.hand_to(comparer)
        comparer.file(walk.manifest())
        comparer.close()
        paths = dict(walk.names.changed()) | {name: path for name, (path, _, _) in walk.files.items()}
        yield from comparer.comparisons(paths, losses.losses())
