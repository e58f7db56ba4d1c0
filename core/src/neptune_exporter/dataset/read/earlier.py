"""What earlier exports left of a run, in whatever state it is. An export is planned by this."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from neptune_exporter.contract import DatasetError, SourceRun
from neptune_exporter.dataset.format import publication
from neptune_exporter.dataset.format.layout import Place, missing_parts
from neptune_exporter.dataset.format.receipts import Receipt
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read.listing import Listing
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.wanted import Wanted
from neptune_exporter.model import AttributeType, SysAttribute

_IDENTITY = Wanted(
    ("string_value",), frozenset({AttributeType.STRING.value}), frozenset({str(SysAttribute.ID)})
)
_ANOTHER_TOOL = "another tool"


@dataclass(frozen=True)
class Earlier:
    """What earlier exports of a run left, by this package or another tool; possibly nothing."""

    data: Storage
    place: Place
    listing: Listing

    @cached_property
    def receipt(self) -> Receipt | None:
        """None if there is no readable one. The parts may have changed since it was written."""
        pending = publication.receipt(self.data, self.place.pending) if self.pending else None
        return pending or publication.receipt(self.data, self.place.receipt)

    @cached_property
    def parts(self) -> list[str]:
        """The names of the existing parts, by number."""
        return self.listing.parts(self.place)

    @cached_property
    def unfinished(self) -> list[str]:
        """The names of parts that another tool did not finish."""
        return self.listing.unfinished(self.place)

    @cached_property
    def pending(self) -> bool:
        """Whether a publication was interrupted: `Dataset.recover` finishes it."""
        return self.data.size(self.place.pending) is not None

    @property
    def exists(self) -> bool:
        """Whether there is anything at all, also something unfinished."""
        return self._has_receipt or self.pending or bool(self.parts or self.unfinished)

    @cached_property
    def _has_receipt(self) -> bool:
        return self.data.size(self.place.receipt) is not None

    @property
    def by(self) -> str:
        """The name of the exporter, for messages."""
        if self.receipt is not None:
            return self.receipt.source
        return "an export with an unreadable receipt" if self._has_receipt else _ANOTHER_TOOL

    @property
    def trouble(self) -> str | None:
        """How the parts differ from the receipt in names or sizes; None if they do not."""
        if self.pending:
            return "its publication was interrupted"
        if self.receipt is None:
            unreadable = "its receipt cannot be read"
            return unreadable if self._has_receipt else f"exported by {_ANOTHER_TOOL}, without a receipt"
        sizes = ((self.data.size(self.place.path(part.name)), part.bytes) for part in self.receipt.parts)
        return None if all(size == known for size, known in sizes) else "damaged on disk"

    @property
    def foreign(self) -> bool:
        """Whether some rows come from an export without a receipt, so that their origin is unknown."""
        return bool(self.parts) if self.receipt is None else self.receipt.foreign

    def another(self, run: SourceRun) -> str | None:
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
        for name in sorted(named.union(self.parts)):
            try:
                for batch in Part(self.data, self.place.path(name)).batches(_IDENTITY, 1024):
                    found.update(batch.column(0).to_pylist())
            except DatasetError as error:
                unread = str(error)
        return found, unread

    def left_out(self) -> list[str]:
        """Notes about missing parts."""
        if self.receipt is not None:
            there, named = set(self.parts), [part.name for part in self.receipt.parts]
            return [f"{name} of an earlier export was missing" for name in named if name not in there]
        missing = missing_parts(self.place, self.parts)
        left = "was not finished: it stays as it is, and is no part of the run"
        return [
            *(f"{name} of {_ANOTHER_TOOL}'s export was missing" for name in missing),
            *(f"{name} of {_ANOTHER_TOOL}'s export {left}" for name in self.unfinished),
        ]
