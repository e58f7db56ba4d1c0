"""The check of one run: its receipt, its parts and the files that its rows name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from neptune_exporter.contract import DatasetError, UnsafePathError
from neptune_exporter.dataset.check.advice import advice, advice_on_failure
from neptune_exporter.dataset.check.findings import Finding, Severity, damage, warning
from neptune_exporter.dataset.check.recording import digest_of, has_no_checksums
from neptune_exporter.dataset.dataset import Dataset
from neptune_exporter.dataset.format import checksums
from neptune_exporter.dataset.format.checksums import RunChecksums
from neptune_exporter.dataset.format.paths import meaning
from neptune_exporter.dataset.format.receipts import PartRecord, Receipt
from neptune_exporter.dataset.read.facts import PartFacts, decode_rows
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.probing import probed
from neptune_exporter.dataset.read.scan import NULL_ROWS
from neptune_exporter.dataset.read.stored_run import StoredRun
from neptune_exporter.dataset.read.wanted import Wanted
from neptune_exporter.model import FILE_TYPE_NAMES, RunKey

_ROWS = 65_536


@dataclass(frozen=True)
class RunChecked:
    """All of a run has been checked."""

    run: RunKey
    bytes: int
    """Of parts and files that were read."""
    has_checksums: bool = True
    """Whether changed bytes would have been found: not in another tool's export without recorded
    checksums."""
    findings: tuple[Finding, ...] = ()
    named: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Files that its rows name: what their path means → attribute and path, as the first row writes it."""
    all_read: bool = True
    """Whether all rows of the run, and so all files that they name, are known."""


class RunChecker:
    """Checks runs of a dataset, each by itself."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def check(self, run: StoredRun) -> RunChecked:
        """Check what can be checked of one run. Read-only; files and parts are streamed."""
        check = _RunCheck(self.dataset, run, lambda digest: self._parts.get(digest))
        findings = tuple(check.findings())
        has_checksums = not has_no_checksums(self.dataset, run)
        return RunChecked(run.key, check.bytes, has_checksums, findings, check.named, check.all_read)

    def close(self) -> None:
        """Forget what was found of the dataset."""
        self.__dict__.pop("_parts", None)

    @cached_property
    def _parts(self) -> dict[str, str]:
        """The part that each digest of a receipt belongs to. Seldom needed: only where a part has changed."""
        return {
            part.sha256: run.place.path(part.name)
            for run in self.dataset.runs()
            for part in (run.receipt.parts if run.receipt else ())
        }


def named_twice(run: RunKey, attribute: str, file: str) -> Finding:
    """The row is not the first that names the file."""
    message = "is named by another row too: one overwrote the other"
    return Finding(Severity.WARNING, run, file, message, attribute=attribute)


def _recording(recorded: RunChecksums) -> str:
    """When `verify --record` saw a run; right for one thing and for several, as lines are grouped."""
    return f"{recorded.day}, when checksums were recorded"


class _RunCheck:
    """Checks one run."""

    def __init__(self, dataset: Dataset, run: StoredRun, known_part: Callable[[str], str | None]) -> None:
        """`known_part` returns the part of the dataset whose receipt has a given digest."""
        self._dataset = dataset
        self._known_part = known_part
        self._changed: set[str] = set()
        self._recorded: RunChecksums | None = None
        self._run = run
        self._facts: dict[str, PartFacts | None] = {}
        self.all_read = False
        self.named: dict[str, tuple[str, str]] = {}
        self.bytes = 0

    def findings(self) -> Iterator[Finding]:
        run = self._run
        with contextlib.suppress(DatasetError):  # reported once for its folder
            self._recorded = checksums.at(self._dataset.data, run.place)
        if run.listed.is_pending:
            finishes = "the next export or `verify --record` finishes it"
            yield damage(run, run.place.pending, "its publication was interrupted", finishes)
        for failure in run.failures:
            reason, hint = f"could not be exported: {failure.message}", advice_on_failure(run, failure)
            yield Finding(Severity.GAP, run.key, failure.attribute_path, reason, hint)
        for problem in run.problems:
            yield self._damage(self._item_of(problem), problem)
        yield from self._without_receipt() if run.receipt is None else self._against_receipt(run.receipt)
        readable: list[str] = []
        yield from self._all_rows(readable)
        for path in readable:
            try:
                if self._may_name_files(path):
                    yield from self._files(self._parts[path])
            except DatasetError as error:
                yield self._damage(path, str(error))
        self.all_read = len(readable) == len(run.part_paths) and not run.problems and not run.cut_short

    def _all_rows(self, readable: list[str]) -> Iterator[Finding]:
        """Check the rows of all parts. `readable` gets the paths of those that can be read."""
        run = self._run
        run.probe(decode=True)
        for path in run.part_paths:
            if path in self._changed:
                continue  # reported above; a changed footer cannot be trusted
            try:
                if not self._is_as_written:
                    yield from self._rows(path)
                readable.append(path)
            except DatasetError as error:
                if str(error) not in run.problems:  # reported above
                    yield self._damage(path, str(error))

    @cached_property
    def _parts(self) -> dict[str, Part]:
        """The parts by path. Of most runs none is opened here."""
        return {part.path: part for part in self._run.parts}

    @property
    def _is_as_written(self) -> bool:
        """Whether all rows are ours, so that the SHA-256 proves each part that is not in `_changed`.

        Our rows were checked when they were written (`RunBuffer.add`), and the receipt, which has a digest of
        itself, counts them. Decoding the same bytes again cannot show anything else.
        """
        return self._run.receipt is not None and not self._run.receipt.foreign

    def _may_name_files(self, path: str) -> bool:
        """Whether the part must be opened for the names of files: not if a receipt or a probe says it has
        none."""
        if self._run.receipt is not None:
            return self._run.receipt.files > 0
        known = self._known(path)
        return known is None or not FILE_TYPE_NAMES.isdisjoint(known.tally.attributes)

    def _known(self, path: str) -> PartFacts | None:
        """The result of its probe, if that decoded every row."""
        if self._run.place.among_many:
            return None
        if path not in self._facts:
            data = self._dataset.data
            self._facts[path] = probed(data).facts(data, path, decode=True)
        return self._facts[path]

    def _against_receipt(self, receipt: Receipt) -> Iterator[Finding]:
        run = self._run
        for part in receipt.parts:
            if found := self._of_part(part):
                self._changed.add(found.item)
                yield found
        expected = {part.name for part in receipt.parts}
        for name in run.listed.part_names:
            if name not in expected:
                yield damage(run, run.place.path(name), "is not in the receipt: other tools would read it")
        for name in run.listed.unfinished:
            message = "was not finished by another tool and is no part of the run, which was exported since"
            yield warning(run, run.place.path(name), message)
        rows, stored = run.row_count(), sum(part.rows for part in receipt.parts)
        # In parts of other tools, a row without a value does not count.
        if rows > stored or (rows < stored and all(p.known_ours is not False for p in self._parts.values())):
            yield damage(run, run.place.receipt, f"counts {rows} rows, its parts have others")

    def _of_part(self, part: PartRecord) -> Finding | None:
        """What is wrong with a part of the receipt."""
        run, path = self._run, self._run.place.path(part.name)
        size = self._dataset.data.size(path)
        if size is None:
            return damage(run, path, "is missing", advice(run))
        digest = self._dataset.data.sha256(path)
        self.bytes += size
        if digest == part.sha256:
            return None
        if other := self._known_part(digest):
            return damage(run, path, f"has the content of {other}: swapped or overwritten")
        if size != part.bytes:
            return damage(run, path, f"has {size} bytes, its receipt says {part.bytes}", advice(run))
        reason = "its content changed since it was written (SHA-256 differs)"
        return damage(run, path, reason, advice(run, force=True))

    def _without_receipt(self) -> Iterator[Finding]:
        run = self._run
        for path, message in run.cut_short:
            yield damage(run, path, message)
        self.bytes += run.data_bytes
        if self._recorded is not None:
            yield from self._against_record(self._recorded)

    def _against_record(self, recorded: RunChecksums) -> Iterator[Finding]:
        """Compare the parts of another tool's export with the checksums of `verify --record`."""
        run, since = self._run, _recording(recorded)
        for name, expected in recorded.parts.items():
            path = run.place.path(name)
            size = self._dataset.data.size(path)
            if size is None:
                if path in (gap for gap, _ in run.cut_short):
                    continue  # reported above
                message = f"is missing, unlike on {since}"
            elif size != expected.bytes:
                message = f"has {size} bytes, and had {expected.bytes} on {since}"
            elif self._dataset.data.sha256(path) != expected.sha256:
                message = f"changed since {since} (SHA-256 differs)"
            else:
                continue
            self._changed.add(path)
            yield damage(run, path, message, advice(run))
        for name in run.listed.part_names:
            if name not in recorded.parts:
                message = f"came after the checksums of its run were recorded on {recorded.day}"
                yield warning(run, run.place.path(name), message)

    def _item_of(self, problem: str) -> str:
        """The item that a problem of the run is about, if the text begins with its name."""
        run = self._run
        if run.has_unreadable_receipt:
            return run.place.receipt
        named = (path for path in run.part_paths if problem.startswith(self._dataset.data.describe(path)))
        return next(named, run.place.files_folder)

    def _damage(self, item: str, message: str) -> Finding:
        """Damage, from the text of an error, which may begin with the item."""
        where = self._dataset.data.describe(item)
        return damage(self._run, item, message.removeprefix(where).removeprefix(": ").strip())

    def _rows(self, path: str) -> Iterator[Finding]:
        """Decode every page, which checks its checksum, and check the identity of every row."""
        run = self._run
        for record in run.receipt.parts if run.receipt else ():
            if path == run.place.path(record.name) and (rows := self._parts[path].rows) != record.rows:
                yield damage(run, path, f"has {rows} rows, its receipt says {record.rows}")
        known = self._known(path)
        found = (known and known.decoded) or decode_rows(self._parts[path])
        expected = {"project_id": run.key.project_id, "run_id": run.key.run_id}
        foreign = {value for name, values in found.ids.items() for value in values if value != expected[name]}
        if foreign:
            others = ", ".join(sorted(map(str, foreign))[:3])
            yield damage(run, path, f"has rows of another run or project: {others}")
        kinds = ", ".join(sorted(map(str, found.unknown_types))[:3])
        times = "times outside of the years 1 to 9999, which are left out or moved"
        odd = {
            f"has rows of unknown types, which are not read: {kinds}": found.unknown_types,
            f"has {times}: {found.odd_times:,}": found.odd_times,
            f"has {NULL_ROWS}: {found.nulls:,}": found.nulls,
        }
        yield from (warning(run, path, message) for message in filter(odd.get, odd))

    def _files(self, part: Part) -> Iterator[Finding]:
        columns = ("attribute_path", "file_value", "file_size", "file_sha256")
        for batch in part.batches(Wanted(columns, FILE_TYPE_NAMES), _ROWS):
            cells = (column.to_pylist() for column in batch.columns)
            for attribute, value, size, digest in zip(*cells, strict=True):
                yield from self._file(attribute, value["path"], size, digest)

    def _file(self, attribute: str, file: str, size: int | None, digest: str | None) -> Iterator[Finding]:
        run = self._run
        try:
            found = run.file_size(file)
        except UnsafePathError as error:
            yield damage(run, file, str(error))
            return
        if meaning(file) in self.named:
            yield named_twice(run.key, attribute, file)
        self.named.setdefault(meaning(file), (attribute, file))
        since, unlike = "the export", ""
        if digest is None and self._recorded is not None and file in self._recorded.files:
            size, digest = self._recorded.files[file].bytes, self._recorded.files[file].sha256
            since = _recording(self._recorded)
            unlike = f", unlike on {since}"
        message = None
        if found is None:
            message = f"is missing{unlike}"
        elif size is not None and found != size:
            message = f"has {found} bytes instead of {size}"
        elif digest is not None:
            self.bytes += found
            if digest_of(run, file) != digest:
                message = f"changed since {since} (SHA-256 differs)"
        if message is not None:
            yield damage(run, file, message, advice(run, force=True), attribute)
