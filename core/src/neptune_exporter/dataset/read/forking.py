"""Where a run was forked off, as two of its parameters tell."""

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

FORK_PATHS = frozenset({str(SysAttribute.FORK_PARENT), str(SysAttribute.FORK_STEP)})
_WANTED = Wanted(
    ("attribute_path", "int_value", "float_value", "string_value"),
    frozenset({AttributeType.STRING.value, AttributeType.INT.value, AttributeType.FLOAT.value}),
    FORK_PATHS,
)
_ROWS = 1 << 18


@dataclass
class Forking:
    """What the rows that were met tell."""

    parent: str | None = None
    step: float | int | None = None

    def meet(self, rows: SortedRows, path: str, kind: str, start: int) -> None:
        """Rows of an attribute, from `start` on."""
        if path == SysAttribute.FORK_PARENT and kind == AttributeType.STRING.value:
            self.parent = rows.columns["string_value"][start].as_py()
        elif path == SysAttribute.FORK_STEP and kind in ("int", "float"):
            self.step = rows.columns[f"{kind}_value"][start].as_py()

    def read(self, parts: Iterable[Part]) -> None:
        """Take from parts what was not met: the parent and the step may come with different exports."""
        known = Forking(self.parent, self.step)
        for part in parts:
            for batch in part.batches(_WANTED, _ROWS):
                for path, whole, real, text in zip(*(c.to_pylist() for c in batch.columns), strict=True):
                    if path == SysAttribute.FORK_PARENT:
                        self.parent = text
                    else:
                        self.step = whole if whole is not None else real
        self.parent = self.parent if known.parent is None else known.parent
        self.step = self.step if known.step is None else known.step

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


def fork(parts: Iterable[Part]) -> Fork | None:
    """Where the run of these parts was forked off."""
    found = Forking()
    found.read(parts)
    return found.fork
