"""The state of a run before an export: what the source has, what the dataset has, and what is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from neptune_exporter.contract import (
    AttributeFailure,
    AttributeRequest,
    AttributeSelection,
    NewerVersionError,
    SourceRun,
)
from neptune_exporter.dataset import Dataset, Receipt, RunFolder, RunState
from neptune_exporter.model import AttributeType

_NO_USABLE_RECEIPT = (RunState.INTERRUPTED, RunState.UNREADABLE, RunState.WITHOUT_RECEIPT)


@dataclass(frozen=True)
class Case:
    """The predicates of the table in `planning`. Each reads what it needs once, at its first use."""

    dataset: Dataset
    run: SourceRun
    wanted: AttributeSelection
    source: str
    """Name and version of what does the reading."""
    force: bool

    @cached_property
    def folder(self) -> RunFolder:
        return self.dataset.folder(self.run.key)

    @property
    def receipt(self) -> Receipt | None:
        return self.folder.receipt

    @cached_property
    def _receipt(self) -> Receipt:
        assert self.receipt is not None, "asked only of runs that have one"
        return self.receipt

    @property
    def memory(self) -> str:
        """What the source wanted back. Of another source it may mean anything."""
        receipt = self.receipt
        return receipt.memory if receipt is not None and _name(receipt.source) == _name(self.source) else ""

    @property
    def is_of_newer_version(self) -> bool:
        """A newer neptune-exporter wrote what is there."""
        try:
            _ = self.receipt
        except NewerVersionError:
            return True
        return False

    @property
    def is_absent(self) -> bool:
        return self.folder.state is RunState.ABSENT

    @property
    def is_elsewhere(self) -> bool:
        """The dataset holds it under a name to which an export cannot add."""
        return self.is_absent and self.dataset.elsewhere(self.run.key) is not None

    @cached_property
    def obstacle(self) -> str:
        """Why what is there must not be mixed with the run, and only --force may replace it; empty if it may
        be mixed."""
        if other := self.folder.other_run(self.run):
            return f"the dataset holds another run with this id, {other}: not {self.run.identity}"
        if self._is_part_of_another_source:
            by = self.folder.exporter
            return f"the dataset holds what {by} exported of it, and one of both may be a part only"
        return ""

    @property
    def _is_part_of_another_source(self) -> bool:
        """Different sources have the run, and one of them may have only a part of it."""
        if self.receipt is None:
            return self.run.partial
        return _name(self.receipt.source) != _name(self.source) and (self.run.partial or self.receipt.partial)

    @property
    def has_no_usable_receipt(self) -> bool:
        return self.folder.state in _NO_USABLE_RECEIPT

    @property
    def lacks_parts(self) -> bool:
        """Parts are missing or have another size."""
        return self.folder.state is RunState.DAMAGED

    @cached_property
    def is_damaged(self) -> bool:
        """A part's content is not what was written. Reads every byte, so the table asks it late."""
        return self.folder.is_changed

    @property
    def has_damage(self) -> bool:
        """Parts are missing or changed. Without a receipt this cannot be known."""
        return not self.has_no_usable_receipt and (self.lacks_parts or self.is_damaged)

    @cached_property
    def is_of_same_state(self) -> bool:
        return self._receipt.is_of_state(self.run)

    @property
    def has_changed(self) -> bool:
        """The source has another state of the run, and earlier exports have not read all of it."""
        return not self.is_of_same_state and not self._has_all_of_it

    @property
    def _has_all_of_it(self) -> bool:
        """A partial run is a copy or an older state of what was exported, and nothing failed then."""
        receipt = self._receipt
        return self.wanted in receipt.selections and not receipt.failures and receipt.has_read(self.run)

    @property
    def change(self) -> str:
        before, now = self._receipt.modified_at, self.run.modified_at
        if before is None or now is None:
            return "the source cannot tell whether it changed"
        if before == now:
            return "not read from there before"
        return f"changed at {now.isoformat(timespec='seconds')}"

    @cached_property
    def unread(self) -> tuple[AttributeFailure, ...]:
        """What could not be read from the source."""
        return tuple(f for f in self._receipt.failures if not f.lost)

    @property
    def failed_as_a_whole(self) -> bool:
        return any(not f.attribute_path and not f.permanent for f in self.unread)

    @cached_property
    def asked_failures(self) -> tuple[AttributeFailure, ...]:
        """Those failures that concern what is wanted now."""
        ended = self.ended
        return tuple(f for f in self.unread if f.attribute_path in ended or _asks_for(self.wanted, f))

    @cached_property
    def retry(self) -> frozenset[str]:
        """Paths that failed and may succeed now."""
        return frozenset(f.attribute_path for f in self.asked_failures if not f.permanent)

    @cached_property
    def request(self) -> AttributeRequest:
        """What remains to be read."""
        return AttributeRequest(self.wanted, self._receipt.selections, self.retry)

    @property
    def has_all_that_is_wanted(self) -> bool:
        # An export of everything ends a loss even if nothing is left to read: others have read it in pieces.
        ends_loss = self.wanted.is_everything and len(self.unread) < len(self._receipt.failures)
        is_left = self.request.classes or self.request.others or ends_loss
        return not self.retry and (self.wanted in self._receipt.selections or not is_left)

    @cached_property
    def read_again(self) -> frozenset[str]:
        """Paths that failed (permanently or not) in an earlier state and were not requested since."""
        asked = (f for f in self.asked_failures if f.attribute_type and not self._may_be_of_another_part)
        return frozenset(f.attribute_path for f in asked if self.request.includes(*_named(f)))

    @property
    def missing(self) -> tuple[AttributeFailure, ...]:
        """What is wanted but failed permanently, and is not requested again."""
        again = self.retry | self.read_again
        return tuple(
            f
            for f in self.unread
            if f.permanent
            and f.attribute_path not in again
            and (f in self.asked_failures or not f.attribute_path)
        )

    @property
    def lost(self) -> tuple[AttributeFailure, ...]:
        """What was lost on disk, and this export does not read again."""
        # If partial exports were joined, it is unknown which of them held what was lost.
        reads_all = self.wanted.is_everything and (self.force or not self.run.partial)
        return () if self.receipt is None or reads_all else tuple(f for f in self.receipt.failures if f.lost)

    @cached_property
    def ended(self) -> frozenset[str]:
        """Paths of the failures that this export ends, or meets again."""
        if self.receipt is None or self._may_be_of_another_part:
            return frozenset()
        return frozenset(f.attribute_path for f in self._read_now)

    @cached_property
    def _may_be_of_another_part(self) -> bool:
        """Whether failures may belong to another partial export, and so are of nothing that is read now."""
        receipt, run = self._receipt, self.run
        return run.partial and not (receipt.is_within(run) if receipt.logs else receipt.is_of_state(run))

    @property
    def can_end(self) -> frozenset[str]:
        """Messages of failures of the whole run that end if the source says so."""
        return frozenset(f.message for f in self._read_now if not f.attribute_path)

    @property
    def _read_now(self) -> Iterator[AttributeFailure]:
        """Failures of what is certainly read now."""
        earlier = () if self.receipt is None else self.receipt.selections
        failed = () if self.receipt is None else self.unread
        return (f for f in failed if _is_ended_by(self.wanted, f, earlier))


def whole(wanted: AttributeSelection, receipt: Receipt) -> AttributeSelection:
    """All attributes of the classes that are wanted now, were selected before, or are in the dataset. Paths
    do not limit it, because rows of earlier states may stay although no selection of the receipt names
    them."""
    several = (wanted, *receipt.selections)
    held = (kind.attribute_class for kind in receipt.types)
    return AttributeSelection(
        classes=frozenset(held).union(*(each.classes for each in several)),
        metric_previews=any(each.metric_previews for each in several),
        others=any(each.others for each in several),
    )


def _name(source: str) -> str:
    """The name of a source without its version."""
    return source.rpartition(" ")[0]


def _named(failure: AttributeFailure) -> tuple[str, AttributeType | None]:
    return failure.attribute_path, failure.attribute_type


def _asks_for(wanted: AttributeSelection, failure: AttributeFailure) -> bool:
    """Whether what failed may be wanted. A failure without a type may be of any type."""
    return bool(failure.attribute_path) and wanted.includes(*_named(failure))


def _is_ended_by(
    wanted: AttributeSelection, failure: AttributeFailure, earlier: tuple[AttributeSelection, ...]
) -> bool:
    """Whether reading what is wanted certainly reads what failed: only then does it end the failure.

    If the class is unknown, it may be any class that was requested before.
    """
    path = failure.attribute_path
    if failure.attribute_type is not None:
        return wanted.includes(path, failure.attribute_type)
    if not path and not wanted.is_of_all_paths:
        return all(each == wanted for each in earlier)
    return (not path or wanted.includes_path(path)) and _has_classes_of(wanted, earlier)


def _has_classes_of(wanted: AttributeSelection, earlier: tuple[AttributeSelection, ...]) -> bool:
    return all(each.classes <= wanted.classes and each.others <= wanted.others for each in earlier)
