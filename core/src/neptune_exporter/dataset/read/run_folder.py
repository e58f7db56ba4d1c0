"""What the dataset holds of one run. Planning, exports, reading and checks all ask here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from neptune_exporter.contract import DatasetError, SourceRun
from neptune_exporter.dataset.format.layout import Place, missing_parts, proven_id
from neptune_exporter.dataset.format.receipts import Receipt
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read import refused
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.probing import probed
from neptune_exporter.dataset.read.wanted import Wanted
from neptune_exporter.model import AttributeType, RunKey, SysAttribute
from neptune_exporter.toolkit.cached import cached_property

_IDENTITY = Wanted(
    ("string_value",), frozenset({AttributeType.STRING.value}), frozenset({str(SysAttribute.ID)})
)
_ANOTHER_TOOL = "another tool"


class RunState(Enum):
    """What earlier exports left of a run. The values are for messages."""

    ABSENT = "not in the dataset"
    INTERRUPTED = "its publication was interrupted"
    """`Dataset.recover` finishes it."""
    UNREADABLE = "its receipt cannot be read"
    WITHOUT_RECEIPT = f"exported by {_ANOTHER_TOOL}, without a receipt"
    DAMAGED = "damaged on disk"
    """Parts are missing, or their size is not that in the receipt."""
    PUBLISHED = "as its receipt says"
    """In names and sizes. Only `RunFolder.is_changed` knows whether the content is the same too."""


@dataclass(frozen=True)
class ListedRun:
    """What a listing shows of a run, before anything is opened. Another process needs no more to read it
    (`Dataset.run_at`)."""

    place: Place
    part_names: tuple[str, ...] = ()
    """The names of the parts on disk, by number."""
    unfinished: tuple[str, ...] = ()
    """Parts that another tool did not finish, by number."""
    has_receipt: bool = False
    is_pending: bool = False
    """Whether a publication was interrupted."""
    whose: RunKey | None = None
    """The run that is meant, if the parts hold rows of several runs."""

    @property
    def exists(self) -> bool:
        """Whether there is anything at all, also something unfinished."""
        return self.has_receipt or self.is_pending or bool(self.part_names or self.unfinished)


@dataclass
class RunFolder:
    """What the dataset holds of one run, by this package or another tool; possibly nothing.

    It answers from the listing, and opens the receipt or a part at the first question that needs it. If a
    newer version wrote the receipt, the answer is a NewerVersionError.
    """

    data: Storage
    listed: ListedRun
    sizes: Mapping[str, int] = field(default_factory=dict)
    """The bytes of the parts by name, as far as they are known."""
    indexed: bytes | None = None
    """The content of the receipt, if an index was requested and is up to date for it."""

    @property
    def place(self) -> Place:
        return self.listed.place

    @cached_property
    def _published(self) -> tuple[Receipt | None, str]:
        if not self.listed.has_receipt:
            return None, ""
        where = self.data.describe(self.place.receipt)
        try:
            if self.indexed is not None:
                return Receipt.from_json(self.indexed, where), ""
            return Receipt.from_bytes(self.data.read(self.place.receipt), where), ""
        except DatasetError as error:
            return None, str(error)

    @property
    def published(self) -> Receipt | None:
        """The receipt of the last complete publication; None if there is no readable one. The parts may have
        changed since it was written."""
        return self._published[0]

    @cached_property
    def receipt(self) -> Receipt | None:
        """The receipt of the last export: the pending one if its publication was interrupted."""
        if self.listed.is_pending:
            try:
                return Receipt.from_bytes(self.data.read(self.place.pending), self.place.pending)
            except DatasetError:
                pass  # recovery deletes it
        return self.published

    @cached_property
    def state(self) -> RunState:
        if self.listed.is_pending:
            return RunState.INTERRUPTED
        if self.published is not None:
            missing = missing_lines(self.data, self.place, self.published, self.sizes)
            return RunState.DAMAGED if missing else RunState.PUBLISHED
        if self.listed.has_receipt:
            return RunState.UNREADABLE
        return RunState.WITHOUT_RECEIPT if self.listed.exists else RunState.ABSENT

    @property
    def exporter(self) -> str:
        """The name of what exported it, for messages."""
        if self.receipt is not None:
            return self.receipt.source
        return "an export with an unreadable receipt" if self.listed.has_receipt else _ANOTHER_TOOL

    @property
    def foreign(self) -> bool:
        """Whether some rows come from an export without a receipt, so that their origin is unknown."""
        return bool(self.listed.part_names) if self.receipt is None else self.receipt.foreign

    @property
    def is_changed(self) -> bool:
        """Whether the content of a part is not what the receipt says. Reads every byte."""
        return self.published is not None and bool(changed_lines(self.data, self.place, self.published))

    def other_run(self, run: SourceRun) -> str | None:
        """The identity of the run here, if it is not the run that the source has under this key; None if it
        is the same run, or that is unknown. Without a receipt, `sys/id` in the rows decides."""
        if not run.identity:
            return None
        if self.receipt is not None and self.receipt.identity:
            found, unread = {self.receipt.identity}, ""
        else:
            found, unread = self._identities()
        others = ", ".join(sorted(found - {run.identity}))
        return others or (f"or one that cannot be told ({unread})" if unread and not found else None)

    def _identities(self) -> tuple[set[str], str]:
        """The identity in the rows, and why some of them cannot be read."""
        found: set[str] = set()
        unread = ""
        named = {part.name for part in self.receipt.parts} if self.receipt else set()
        for name in sorted(named.union(self.listed.part_names)):
            try:
                for batch in Part(self.data, self.place.path(name)).batches(_IDENTITY, 1024):
                    found.update(batch.column(0).to_pylist())
            except DatasetError as error:
                unread = str(error)
        return found, unread

    def left_out(self) -> list[str]:
        """Notes about missing parts."""
        if self.receipt is not None:
            there, named = set(self.listed.part_names), [part.name for part in self.receipt.parts]
            return [f"{name} of an earlier export was missing" for name in named if name not in there]
        missing = missing_parts(self.place, self.listed.part_names)
        left = "was not finished: it stays as it is, and is no part of the run"
        return [
            *(f"{name} of {_ANOTHER_TOOL}'s export was missing" for name in missing),
            *(f"{name} of {_ANOTHER_TOOL}'s export {left}" for name in self.listed.unfinished),
        ]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the receipt and with the key."""
        return tuple(filter(None, (self._published[1], self._key[1])))

    @property
    def key(self) -> RunKey:
        """From the receipt or else from the rows. If neither can be read, from the names on disk; then
        `problems` says why."""
        return self._key[0]

    @cached_property
    def _key(self) -> tuple[RunKey, str]:
        """The key, and why it is only from the names on disk."""
        if self.listed.whose is not None:
            return self.listed.whose, ""
        if self.receipt is not None:
            return self.receipt.key, ""
        problem = "it has no rows that would tell its id"
        for name in (*self.listed.part_names, *self.listed.unfinished):
            path = self.place.path(name)
            try:
                facts = probed(self.data).facts(self.data, path)
                identity = Part(self.data, path).identity() if facts is None else facts.identity
            except DatasetError as error:
                problem = str(error)
                identity = refused.identity(self.data, path)
            if identity is not None:
                return RunKey(*identity, self.place.kind), ""
        return self.named_key, problem

    @property
    def named_key(self) -> RunKey:
        """From the names on disk alone, which may have other characters than the ids."""
        place = self.place
        return RunKey(proven_id(place.project_folder), proven_id(place.stem), place.kind)


def missing_lines(data: Storage, place: Place, receipt: Receipt, sizes: Mapping[str, int]) -> list[str]:
    """A line for every part of the receipt that is missing or has another size.

    `sizes`: the bytes of the parts by name, as far as they are known.
    """
    lines = []
    for part in receipt.parts:
        if sizes.get(part.name) == part.bytes:
            continue
        path = place.path(part.name)
        size = data.size(path, certain=True)  # it may have been replaced, as its receipt
        if size is None:
            lines.append(f"{data.describe(path)} is missing")
        elif size != part.bytes:
            lines.append(f"{data.describe(path)} has {size} bytes instead of {part.bytes}")
    return lines


def changed_lines(data: Storage, place: Place, receipt: Receipt) -> list[str]:
    """A line for every part whose content differs from the receipt. Reads every byte.

    Page checksums do not protect a part's footer: if it changed, rows may be missing without an error.
    """
    return [
        f"{data.describe(path)} changed since it was written (SHA-256 differs)"
        for part in receipt.parts
        if data.sha256(path := place.path(part.name)) != part.sha256
    ]
