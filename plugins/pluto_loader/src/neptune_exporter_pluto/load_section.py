"""The loader's own section of a run's config: writes it, and reads it back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from neptune_exporter.contract import Loss
from neptune_exporter.sinks.names import NameBook
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_pluto import lifecycle
from neptune_exporter_pluto.config import escaped, pairs, section_of
from neptune_exporter_pluto.losses import LossCode
from neptune_exporter_pluto.run_metadata import PlutoMetadata
from neptune_exporter_pluto.session import ContentOptions
from neptune_exporter_pluto.strings import StringStreams

_ONLY_A_LOAD_KNOWS = frozenset({LossCode.FILE_LISTED_TWICE, LossCode.FORK_NOT_NATIVE, LossCode.FORK_STEP})


def opening_section(
    metadata: PlutoMetadata, multiplier: Multiplier, options: ContentOptions
) -> dict[str, Any]:
    """The part that is known before the load; the same in every load with the same options."""
    load: dict[str, Any] = {"status": metadata.status, "options": options.recorded()}
    if metadata.ended is not None:
        load["ended"] = metadata.ended
    return {**metadata.origin, "step_multiplier": str(multiplier), "load": load}


def closing_section(
    names: NameBook,
    strings: StringStreams,
    losses: Iterable[Mapping[str, Any]],
    last_step: int | None = None,
) -> dict[str, Any]:
    """The part that is known only after the load.

    Args:
        last_step: The last step of all metrics, for forks of the run by other machines.
    """
    load = {"state": lifecycle.COMPLETE} | ({} if last_step is None else {"last_step": str(last_step)})
    texts = [text.name for text in strings.texts.values() if text.size]
    found: dict[str, Any] = {
        "names": pairs({name: escaped(path) for name, path in names.changed()}),
        "texts": pairs({name: names.name(name, "TEXT") for name in texts}),
        "console": [[escaped(path), lines] for path, lines in strings.console_lines.items()],
        "losses": list(_unknown_otherwise(losses)),
    }
    return {"load": load, **{key: value for key, value in found.items() if value}}


def _unknown_otherwise(losses: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for loss in losses:
        if loss["reason"] in _ONLY_A_LOAD_KNOWS:
            yield {**loss, "attribute_path": escaped(loss["attribute_path"])}


def last_step_of(details: Mapping[str, Any]) -> int | None:
    """The last step of all metrics in a run's config; None if it has none."""
    step = (section_of(details).get("load") or {}).get("last_step")
    return None if step is None else int(step)


def recorded_losses(details: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The losses in a run's config that reading the rows again does not show."""
    for loss in section_of(details).get("losses", []):
        yield {**loss, "attribute_path": orjson.loads(f'"{loss["attribute_path"]}"')}


def loss_record(loss: Loss) -> dict[str, Any]:
    """A loss for the journal."""
    return {
        "reason": loss.reason,
        "message": loss.message,
        "count": loss.count,
        "attribute_path": loss.attribute_path,
        "requested": loss.requested,
    }
