"""One run of a dataset, read from its receipt and its parts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

import pyarrow as pa

from neptune_exporter.contract import (
    AttributeFailure,
    AttributeInfo,
    DatasetError,
    Parameter,
    Row,
    Step,
    StepRange,
    StepStatistics,
    TimeRange,
    TypeCount,
    parameters_by_path,
)
from neptune_exporter.dataset.format.layout import CUT_SHORT, missing_parts
from neptune_exporter.dataset.format.publication import check_receipt, receipt_again
from neptune_exporter.dataset.format.receipts import Fork, Receipt, fingerprint
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.format.times import within_python
from neptune_exporter.dataset.read import forking, refused, scan
from neptune_exporter.dataset.read.facts import PartFacts, facts_of
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.probing import probed
from neptune_exporter.dataset.read.recent_parts import RecentParts, part_of
from neptune_exporter.dataset.read.rows import PARAMETER_COLUMNS, rows
from neptune_exporter.dataset.read.run_files import RunFiles
from neptune_exporter.dataset.read.run_folder import RunFolder, changed_lines, missing_lines
from neptune_exporter.dataset.read.tally import Tally
from neptune_exporter.dataset.read.wanted import Wanted, Within, in_order
from neptune_exporter.location import Location
from neptune_exporter.model import PARAMETER_TYPES, AttributeType, RunKey
from neptune_exporter.toolkit.cached import cached_property

_RECENT = RecentParts()


class StoredRun(RunFiles):
    """A run on disk: the parts that its receipt names, or all parts if it has no receipt."""

    def __init__(self, folder: RunFolder, files: Storage) -> None:
        """`files`: where its files lie."""
        super().__init__(files, folder.place)
        self.listed = folder.listed
        """What was there when the run was found."""
        self._data = folder.data
        self._key = folder.key
        self._whose = self._key if self.place.among_many else None  # parts that hold rows of others too
        self._receipt = receipt = folder.published
        self._fork_of_receipt = None if receipt is None else receipt.fork
        self._whole_steps = None if receipt is None else receipt.whole_steps
        self._forgotten = ""
        """The fingerprint of the receipt, if that was forgotten."""
        self.problems = folder.problems
        """Known problems; the parts are not read for this."""
        self.has_unreadable_receipt = folder.listed.has_receipt and receipt is None
        self._sizes = folder.sizes

    @property
    def key(self) -> RunKey:
        return self._key

    @property
    def locations(self) -> tuple[Location, Location]:
        """The folder of parts and receipts, and that of files, of the dataset."""
        return self._data.location, self._files.location

    @property
    def receipt(self) -> Receipt | None:
        """None for exports of other tools, and if it cannot be read. Raises DatasetError if it has changed
        since `forget`, or can no longer be read."""
        if self._forgotten and self._receipt is None:
            self._receipt = receipt_again(self._data, self.place.receipt, self._forgotten)
        return self._receipt

    @property
    def fingerprint(self) -> str:
        receipt = None if self._forgotten else self._receipt
        return self._forgotten or (receipt.fingerprint if receipt else self._fingerprint_of_parts)

    @cached_property
    def _fingerprint_of_parts(self) -> str:
        return fingerprint([self._data.sha256(path) for path in self.part_paths])

    @cached_property
    def stamp(self) -> str:
        if self.receipt is not None:
            return self.receipt.fingerprint
        return fingerprint([f"{path} {self._data.stamp(path)}" for path in self.part_paths])

    @property
    def complete(self) -> bool:
        """Whether nothing is pending, and every part of the receipt exists with its size.

        Without a receipt: there are parts, and no sign of missing ones. Raises DatasetError as `receipt`.
        """
        if self.listed.is_pending or self.problems or self.cut_short:
            return False
        if self.receipt is None:
            return bool(self.listed.part_names)
        return not self.missing_parts()

    @property
    def cut_short(self) -> list[tuple[str, str]]:
        """For a run without a receipt: signs that it may not be complete."""
        return [] if self.has_receipt else self._cut_short

    @property
    def has_receipt(self) -> bool:
        """Whether there was a readable one when the run was found. Reads nothing."""
        return self._receipt is not None or bool(self._forgotten)

    @cached_property
    def _cut_short(self) -> list[tuple[str, str]]:
        gap = "is missing: the run was not exported to its end"
        lost = [(name, gap) for name in missing_parts(self.place, self.listed.part_names)]
        lost += [(name, self._why_unfinished(name)) for name in self.listed.unfinished]
        found = [(self.place.path(name), why) for name, why in lost]
        if not (self.listed.has_receipt or self.listed.is_pending) and self._has_part_of_ours():
            found.append((self.place.receipt, "is missing: nothing tells whether the run is whole"))
        return found

    def why_incomplete(self) -> list[str]:
        pending = [f"{self._data.describe(self.place.pending)}: its publication was interrupted"]
        lines = [*self.problems, *(pending if self.listed.is_pending else []), *self.what_is_cut_short()]
        lines += self.missing_parts()
        return lines or ([] if self.complete else [f"{self._key} has no parts"])

    def _has_part_of_ours(self) -> bool:
        try:
            facts = self.facts()
        except DatasetError:
            facts = None
        if facts is not None:
            return any(each.ours for each in facts)
        return any(part.known_ours for part in self.parts)

    def facts(self, *, decode: bool = False) -> list[PartFacts] | None:
        """The facts of each part, from a probe or a record; None unless all are known. Raises DatasetError if
        a part is damaged."""
        if self.place.among_many:
            return None if decode else self._facts_among_many
        if not decode and "kept_facts" in self.__dict__:
            return self.kept_facts
        known = [probed(self._data).facts(self._data, path, decode=decode) for path in self.part_paths]
        return None if None in known else [each for each in known if each is not None]

    @cached_property
    def _facts_among_many(self) -> list[PartFacts]:
        return facts_of(self.parts, decode=False)

    def probe(self, *, decode: bool = False) -> None:
        """Let a child process read another tool's parts first: damage can end the process that reads."""
        if self.receipt is None:
            probed(self._data).probe(self._data, self.part_paths, decode=decode)

    def what_is_cut_short(self) -> list[str]:
        """A line for each of `cut_short`."""
        return [f"{self._data.describe(path)} {why}" for path, why in self.cut_short]

    def _why_unfinished(self, name: str) -> str:
        try:
            facts = probed(self._data).facts(self._data, self.place.path(name))
            rows = Part(self._data, self.place.path(name)).rows if facts is None else facts.rows
        except DatasetError:
            return "was not finished by the tool that wrote it, and cannot be read"
        final = name.removesuffix(CUT_SHORT)
        how = "" if final in self.listed.part_names else f" (name it {final} to have them)"
        return f"was not finished by the tool that wrote it, but its {rows:,} rows can be read{how}"

    def check_unchanged(self, fingerprint: str | None = None) -> None:
        """Raise a DatasetError if the run was exported again since it was found, or its receipt cannot be
        read.

        `fingerprint`: that of the receipt, empty for none, if another process found the run.
        """
        if self.has_unreadable_receipt:
            raise DatasetError(self.problems[0])
        if fingerprint is None:
            fingerprint = self.fingerprint if self.has_receipt else ""
        self._receipt = check_receipt(self._data, self.place.receipt, fingerprint)

    def missing_parts(self) -> list[str]:
        """A line for every part of the receipt that is missing or has another size."""
        receipt = self.receipt
        return [] if receipt is None else missing_lines(self._data, self.place, receipt, self._sizes)

    def changed_parts(self) -> list[str]:
        """A line for every part that differs from the receipt, or cannot be read safely. Reads every byte."""
        if self.receipt is None:
            self.probe(decode=True)
            return refused.reasons(self._data, self.part_paths)
        return changed_lines(self._data, self.place, self.receipt)

    @property
    def failures(self) -> tuple[AttributeFailure, ...]:
        return self.receipt.failures if self.receipt else ()

    @property
    def notes(self) -> tuple[str, ...]:
        return self.receipt.notes if self.receipt else ()

    @property
    def url(self) -> str:
        return self.receipt.url if self.receipt else ""

    @property
    def part_paths(self) -> list[str]:
        """The paths of the run's parts, by number."""
        names = [part.name for part in self.receipt.parts] if self.receipt else self.listed.part_names
        return [self.place.path(name) for name in names]

    @property
    def parts(self) -> list[Part]:
        """The run's parts as they are now, by number."""
        return [_RECENT.part(self._data, path, self._whose) for path in self.part_paths]

    def parts_once(self) -> list[Part]:
        """The same parts without a cache, for passes over thousands of runs."""
        return [part_of(self._data, path, self._whose) for path in self.part_paths]

    def forget(self) -> None:
        """Free the receipt and the rows that were read; they are read again on demand.

        Otherwise 10,000 runs that are loaded one after another would fill the memory. If the receipt changes
        meanwhile, whatever needs it (`complete`, `counts`, `parts`) raises a DatasetError.
        """
        if self._receipt is not None:
            self._forgotten, self._receipt = self._receipt.fingerprint, None
        for name in ("_parameters", "tally", "left_out", "kept_facts", "_facts_among_many"):
            self.__dict__.pop(name, None)

    @property
    def data_bytes(self) -> int:
        """The bytes of the parts on disk; for parts with rows of several runs, this run's share."""
        if self.place.among_many:
            return sum(part.stored_bytes for part in self.parts)
        names = [part.name for part in self.receipt.parts] if self.receipt else self.listed.part_names
        sizes = (self._sizes.get(name) or self._data.size(self.place.path(name)) for name in names)
        return sum(size or 0 for size in sizes)

    def counts(self) -> Mapping[AttributeType, TypeCount]:
        return self.receipt.types if self.receipt else self.tally.types()

    def time_span(self) -> tuple[datetime | None, datetime | None]:
        facts = None if self.receipt else self.kept_facts
        counted = self.receipt or (None if facts is None else self.tally)
        return (counted.first_time, counted.last_time) if counted else scan.time_span(self.parts)

    def row_count(self) -> int:
        """How many rows the run has; for another tool's export, including rows without a value."""
        counted = self.receipt.types.values() if self.receipt else self.parts
        return sum(each.rows for each in counted)

    def whole_steps(self) -> tuple[float, float] | None:
        return self._whole_steps

    def steps(self) -> StepStatistics:
        """Of all series together."""
        return (self.receipt or self.tally).steps

    @cached_property
    def tally(self) -> Tally:
        """All counts, from one pass over few columns. Cached. Raises DatasetError if a part is missing or
        damaged."""
        facts = self.kept_facts
        return scan.tally(self.parts) if facts is None else Tally.of([each.tally for each in facts])

    @cached_property
    def kept_facts(self) -> list[PartFacts] | None:
        """`facts`, kept until `forget`."""
        return self.facts()

    @cached_property
    def left_out(self) -> Tally:
        """Counts of what no loader gets: rows of unknown types, and odd times. Cached. Raises DatasetError if
        a part is missing or damaged."""
        return self.tally if "tally" in self.__dict__ else scan.left_out(self.parts)

    def parameters(self) -> Mapping[str, Parameter]:
        return self._parameters

    @cached_property
    def _parameters(self) -> dict[str, Parameter]:
        return parameters_by_path(rows(self.batches(PARAMETER_TYPES, columns=PARAMETER_COLUMNS)))

    def parent(self) -> RunKey | None:
        fork = self._fork
        return RunKey(self._key.project_id, fork.parent) if fork else None

    def fork_step(self) -> Step | None:
        return self._fork.step if self._fork else None

    @property
    def _fork(self) -> Fork | None:
        return self._fork_of_receipt if self.has_receipt else self._fork_of_rows

    @cached_property
    def _fork_of_rows(self) -> Fork | None:
        found = forking.Forking()
        found.read(self.parts)
        return found.fork

    def batches(
        self,
        types: Collection[AttributeType] | None = None,
        *,
        attributes: Collection[str] | None = None,
        columns: Collection[str] | None = None,
        batch_rows: int = 65_536,
        encoded: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        wanted = Wanted(
            in_order(columns),
            None if types is None else frozenset(AttributeType(t).value for t in types),
            None if attributes is None else frozenset(attributes),
            encoded=encoded,
        )
        return self._read(wanted, batch_rows)

    def _read(self, wanted: Wanted, batch_rows: int) -> Iterator[pa.RecordBatch]:
        if self.problems:
            raise DatasetError(f"{self._key}: {self.problems[0]}")
        if self.receipt and wanted.types and wanted.types.isdisjoint(t.value for t in self.receipt.types):
            return
        for part in self.parts:
            yield from map(within_python, part.batches(wanted, batch_rows, keep_rows=True))

    def rows(self, types: Collection[AttributeType] | None = None) -> Iterator[Row]:
        return rows(self.batches(types))

    def series(
        self,
        attribute: str,
        type: AttributeType,
        *,
        step_range: StepRange = (None, None),
        time_range: TimeRange = (None, None),
        columns: Collection[str] | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[pa.RecordBatch]:
        within = Within.of(step_range, time_range)
        kinds, paths = frozenset({AttributeType(type).value}), frozenset({attribute})
        return self._read(Wanted(in_order(columns), kinds, paths, within=within), batch_rows)

    def attributes(self) -> list[AttributeInfo]:
        return [
            AttributeInfo(path, AttributeType(kind), rows)
            for (path, kind), rows in sorted(scan.attributes(self.parts).items())
            if kind in AttributeType._value2member_map_
        ]
