"""The parameters of a run that its receipt stores: its fork and its tags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa

from neptune_exporter.dataset.format.receipts import Fork
from neptune_exporter.dataset.format.sorting import SortedRows
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.wanted import Wanted
from neptune_exporter.model import AttributeType, SysAttribute
from neptune_exporter.schema import STEP_TYPE

RECEIPT_PATHS = frozenset(map(str, (SysAttribute.FORK_PARENT, SysAttribute.FORK_STEP, SysAttribute.TAGS)))
"""The attributes that a receipt stores."""
_SET = AttributeType.STRING_SET
_WANTED = Wanted(
    ("attribute_path", "int_value", "float_value", "string_value", "string_set_value"),
    frozenset(t.value for t in (AttributeType.STRING, AttributeType.INT, AttributeType.FLOAT, _SET)),
    RECEIPT_PATHS,
)
_ROWS = 1 << 18


@dataclass
class Forking:
    """Collects these attributes from rows."""

    parent: str | None = None
    step: float | int | None = None
    tags: tuple[str, ...] | None = None
    """`sys/tags`, which the receipt keeps for summaries."""

    def meet(self, rows: SortedRows, path: str, kind: str, start: int) -> None:
        """Add the rows of an attribute, from `start` on."""
        if path == SysAttribute.FORK_PARENT and kind == AttributeType.STRING.value:
            self.parent = rows.columns["string_value"][start].as_py()
        elif path == SysAttribute.FORK_STEP and kind in ("int", "float"):
            self.step = rows.columns[f"{kind}_value"][start].as_py()
        elif path == SysAttribute.TAGS and kind == AttributeType.STRING_SET.value:
            self.tags = _tags(rows.columns["string_set_value"][start].as_py())

    def read(self, parts: Iterable[Part]) -> None:
        """Read from parts what is still unknown: parent and step may come from different exports."""
        known = Forking(self.parent, self.step, self.tags)
        for part in parts:
            for batch in part.batches(_WANTED, _ROWS):
                for path, whole, real, text, tags in zip(
                    *(c.to_pylist() for c in batch.columns), strict=True
                ):
                    if path == SysAttribute.FORK_PARENT:
                        self.parent = text
                    elif path == SysAttribute.TAGS:
                        self.tags = _tags(tags)
                    else:
                        self.step = whole if whole is not None else real
        self.parent = self.parent if known.parent is None else known.parent
        self.step = self.step if known.step is None else known.step
        self.tags = self.tags if known.tags is None else known.tags

    @property
    def fork(self) -> Fork | None:
        """A step that decimals hold is one."""
        if not self.parent:
            return None
        if self.step is None:
            return Fork(self.parent, None)
        try:
            return Fork(self.parent, pa.scalar(Decimal(repr(self.step)), STEP_TYPE).as_py())
        except (pa.ArrowInvalid, ArithmeticError):
            return Fork(self.parent, float(self.step))


def _tags(values: Iterable[str | None] | None) -> tuple[str, ...]:
    return tuple(sorted(tag for tag in values or () if tag is not None))
