"""What a load has sent of a small run, for the comparison at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from neptune_exporter.contract import Loss
from neptune_exporter.model import PARAMETER_TYPES, AttributeType
from neptune_exporter_pluto.form.content import Content
from neptune_exporter_pluto.form.metadata import PlutoMetadata

_TYPES = PARAMETER_TYPES | {AttributeType.FLOAT_SERIES}
_MOST_BYTES = 4096
"""A load keeps this much for each run until all runs are compared."""


@dataclass(frozen=True)
class Sent:
    """A run of parameters and metrics alone: what Pluto shows of it if everything arrived."""

    mark: str
    """That of the journal: another load of the run has another one."""
    metadata: PlutoMetadata
    steps: Mapping[str, int]
    """How many steps each series has, by attribute path, in the order in which series get their names."""

    def packed(self, content: Content, losses: Iterable[Loss]) -> bytes | None:
        """As few bytes; None if there are many, or something of the run's series is not in Pluto, or it has
        more than parameters and metrics."""
        if not _TYPES.issuperset(content.run.counts()) or any(x.attribute_path in self.steps for x in losses):
            return None
        packed = orjson.dumps(self)
        return packed if len(packed) <= _MOST_BYTES else None

    @classmethod
    def unpacked(cls, packed: object, mark: str) -> Sent | None:
        """The inverse of `packed`; None if nothing was, or another load than that of the mark."""
        if not isinstance(packed, bytes):
            return None
        found: dict[str, Any] = orjson.loads(packed)
        return (
            cls(mark, PlutoMetadata(**found["metadata"]), found["steps"]) if found["mark"] == mark else None
        )
