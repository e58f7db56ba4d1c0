"""The loader's own section of a run's config: what is written into it, and what it then says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import orjson

from neptune_exporter.contract import Loss
from neptune_exporter.sinks.losses import CommonLoss
from neptune_exporter.sinks.names import NameBook
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_pluto.form.config import escaped, pairs, section_of
from neptune_exporter_pluto.form.losses import LossCode
from neptune_exporter_pluto.form.metadata import PlutoMetadata

LOADING, COMPLETE, SUPERSEDED = "loading", "complete", "superseded"
_ONLY_A_LOAD_KNOWS = frozenset({LossCode.FILE_LISTED_TWICE, CommonLoss.FORK_NOT_NATIVE, LossCode.FORK_STEP})


@dataclass(frozen=True)
class ContentOptions:
    """The options that decide what is in Pluto. A run's config tells them, for whoever compares later."""

    name_prefix: str
    log_every: int
    max_files_per_run: int

    def recorded(self) -> dict[str, Any]:
        """For a run's config."""
        return {**asdict(self), "name_prefix": escaped(self.name_prefix)}

    @classmethod
    def read(cls, details: Mapping[str, Any], otherwise: ContentOptions) -> ContentOptions:
        """What a run's config tells; `otherwise` where it tells nothing."""
        load = section_of(details).get("load")
        found = load.get("options") if isinstance(load, dict) else None
        return cls.of_record(found) if isinstance(found, dict) else otherwise

    @classmethod
    def of_record(cls, found: Mapping[str, Any]) -> ContentOptions:
        """The inverse of `recorded`."""
        prefix = orjson.loads(f'"{found["name_prefix"]}"')
        return cls(prefix, int(found["log_every"]), int(found["max_files_per_run"]))


@dataclass(frozen=True)
class Found:
    """What the config of an existing run with our external id says."""

    run_id: int
    mark: str
    state: str
    fingerprint: str
    status: str
    ended: int | None
    page: str
    marks: frozenset[str]
    """The marks of all journals that ever took the run or superseded it, because merging removes nothing.

    Each mark is in one of a few slots (`mark_slots`), because Pluto keeps every key of a config. If two marks
    share a slot, the earlier journal finds the later mark there, unless its load has ended by then.
    """

    def is_of_others(self, mark: str) -> bool:
        """Whether another journal than that of this mark took the run or superseded it."""
        return self.state == SUPERSEDED or not self.marks | {self.mark} <= {mark, ""}

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Found:
        section = section_of(details)
        load = section.get("load")
        load = load if isinstance(load, dict) else {}
        held = load.get("marks")
        marks = frozenset(map(str, held.values())) if isinstance(held, dict) else frozenset()
        return cls(
            int(details["id"]),
            str(load.get("mark", "")),
            SUPERSEDED if SUPERSEDED in marks else str(load.get("state", "")),
            str(section.get("fingerprint", "")),
            str(load.get("status", "")),
            None if load.get("ended") is None else int(load["ended"]),
            str(load.get("page", "")),
            marks,
        )


def mark_slots(mark: str, created: bool = False) -> dict[str, str]:
    """A mark for the config, beside those of others: one of 18 keys.

    The load that created the run has a key of its own. Its request may be on its way for so long that
    another machine takes the run: the late mark must not replace that machine's.
    """
    if mark == SUPERSEDED:
        return {"given_up": mark}
    return {"created" if created else mark[:1]: mark}


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
    texts: Iterable[str],
    console_lines: Mapping[str, int],
    losses: Iterable[Mapping[str, Any]],
    last_step: int | None = None,
) -> dict[str, Any]:
    """The part that is known only after the load.

    Args:
        texts: The consolidated texts that are not empty.
        console_lines: Entries of each console stream.
        last_step: The last step of all metrics, for forks of the run by other machines.
    """
    load = {"state": COMPLETE} | ({} if last_step is None else {"last_step": str(last_step)})
    found: dict[str, Any] = {
        "names": pairs({name: escaped(path) for name, path in names.changed()}),
        "texts": pairs({name: names.name(name, "TEXT") for name in texts}),
        "console": [[escaped(path), lines] for path, lines in console_lines.items()],
        "losses": [
            {**loss, "attribute_path": escaped(loss["attribute_path"])}
            for loss in losses
            if loss["reason"] in _ONLY_A_LOAD_KNOWS
        ],
    }
    return {"load": load, **{key: value for key, value in found.items() if value}}


def last_step_of(details: Mapping[str, Any]) -> int | None:
    """The last step of all metrics in a run's config; None if it has none."""
    step = (section_of(details).get("load") or {}).get("last_step")
    return None if step is None else int(step)


def recorded_losses(details: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The losses in a run's config that reading the rows again does not show."""
    for loss in section_of(details).get("losses", []):
        yield {**loss, "attribute_path": orjson.loads(f'"{loss["attribute_path"]}"')}


def loss_record(loss: Loss) -> dict[str, Any]:
    return {name: value for name, value in vars(loss).items() if name != "run"}


def recorded_multiplier(details: Mapping[str, Any]) -> Multiplier:
    """The multiplier that a run's config in Pluto tells."""
    return Multiplier.of(Decimal(str(section_of(details).get("step_multiplier", "1"))))
