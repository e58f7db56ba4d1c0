"""What a run is called in Pluto, when it was, how it ended, where it came from: all but its data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from neptune_exporter.contract import ExportedRun, Parameter
from neptune_exporter.model import RunKey, RunKind, SysAttribute
from neptune_exporter.sinks.metadata import RunMetadata, Status, value_of
from neptune_exporter.sinks.names import digest, printable, shortened
from neptune_exporter_pluto.form.config import ParametersConfig, pairs, parameters_config, readable, storable
from neptune_exporter_pluto.form.losses import LossBook, LossCode
from neptune_exporter_pluto.settings import MAX_NAME

MAX_TAGS = 50
_MAX_NOTES = 1_000
"""UTF-16 units, for JavaScript counts them. Names have their limit in PostgreSQL, which counts characters."""
_EXTERNAL_ID_PREFIX = "neptune"
"""Without it an id such as RUN-12 would be taken for one of Pluto's own display ids."""
IDENTITY = "external_id"
"""The key of the loader's section by which a run is found: the same for all generations. It never looks like
a number, which Pluto would compare as one."""
_STATUS: Mapping[Status, str] = {"finished": "COMPLETED", "failed": "FAILED", "active": "TERMINATED"}
"""A run that was still active when it was exported did not complete."""


@dataclass(frozen=True)
class PlutoMetadata:
    """A run as Pluto shows it. Times in ms since 1970, never negative; None where nothing says them."""

    name: str
    created: int | None
    ended: int | None
    status: str
    tags: Sequence[str]
    notes: str
    config: Mapping[str, Any]
    origin: Mapping[str, Any]
    """For the loader's section of the config; texts of any kind are in it as Pluto can store them."""


def external_id(run: RunKey, generation: int) -> str:
    """The id by which any machine finds the run again: no longer than Pluto takes, never another run's."""
    mark = RunMetadata.mark_of(run)
    if generation > 1:
        mark += f":{generation}"
    readable_part = printable(f"{run.project_id}/{run.run_id}")[: MAX_NAME - len(mark) - 20]
    return f"{_EXTERNAL_ID_PREFIX}:{readable_part}:{mark}"


def collect(run: ExportedRun, prefix: str, losses: LossBook) -> PlutoMetadata:
    """Everything but the data. What does not fit is counted as lost and kept in the config."""
    parameters = run.parameters()
    plain = RunMetadata.of(run, prefix)
    name = str(readable(plain.name)[0])
    if len(name) > MAX_NAME:
        losses.add(LossCode.LONG_RUN_NAME, 1, SysAttribute.NAME if SysAttribute.NAME in parameters else None)
        name = shortened(name, MAX_NAME, digest(plain.name))
    created, ended = _since_1970(plain, losses)
    tags, beyond = _tags(run.key, plain, losses)
    description = str(readable(plain.description)[0])
    notes = _beginning(description, _MAX_NOTES)
    losses.add(LossCode.LONG_DESCRIPTION, int(notes != description), SysAttribute.DESCRIPTION)
    config = parameters_config(parameters)
    _count_rounded(config, losses)
    named: dict[str, Mapping[str, Any]] = {
        "converted": config.converted,
        "renamed": config.renamed,
        "exact": config.exact,
        "tags_beyond_limit": beyond,
    }
    origin = _origin(run, parameters) | {key: pairs(value) for key, value in named.items() if value}
    if name != plain.name:
        origin["full_name"] = plain.name
    return PlutoMetadata(
        name,
        created,
        ended,
        _STATUS[plain.status],
        tags,
        notes,
        config.values,
        storable(origin),
    )


def _beginning(text: str, units: int) -> str:
    """As much as fits into so many UTF-16 units, without splitting a character."""
    return text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore")


def _since_1970(plain: RunMetadata, losses: LossBook) -> tuple[int | None, int | None]:
    """Creation and end: Pluto refuses negative times, and takes 0 (recorded from the real API)."""
    if plain.created is None or plain.ended is None:
        return None, None
    losses.add(LossCode.TIME_BEFORE_1970, int(plain.created < 0), SysAttribute.CREATION_TIME)
    return max(0, plain.created), max(0, plain.ended)


def _count_rounded(config: ParametersConfig, losses: LossBook) -> None:
    for key in config.exact:
        renamed = config.renamed.get(key)
        losses.add(LossCode.ROUNDED_NUMBER, 1, key if renamed is None else orjson.loads(f'"{renamed}"'))


def _tags(
    run: RunKey, plain: RunMetadata, losses: LossBook
) -> tuple[Sequence[str], Mapping[str, Sequence[str]]]:
    """Tags that Pluto takes, and by attribute the rest: it takes 50, of which one may begin with `group:`."""
    taken = [tag for tag in map(_readable_tag, _own_tags(run)) if len(tag) <= MAX_NAME]
    beyond: dict[str, list[str]] = {}
    for path, tags in ((SysAttribute.TAGS, plain.tags), (SysAttribute.GROUP_TAGS, plain.group_tags)):
        for tag in map(_readable_tag, tags):
            if tag in taken:
                continue
            if _fits(tag, taken):
                taken.append(tag)
            else:
                beyond.setdefault(path, []).append(tag)
                losses.add(LossCode.TAGS_BEYOND_LIMIT, 1, path)
    return taken, beyond


def _fits(tag: str, taken: Sequence[str]) -> bool:
    usable = tag.strip() and len(tag) <= MAX_NAME and len(taken) < MAX_TAGS
    return bool(usable) and not (_is_group(tag) and any(map(_is_group, taken)))


def _own_tags(run: RunKey) -> Iterator[str]:
    yield "import:neptune"
    yield f"import_project:{run.project_id}"
    if run.kind is not RunKind.RUN:
        yield f"neptune:{run.kind.value}"


def _readable_tag(tag: str) -> str:
    return str(readable(tag)[0])


def _is_group(tag: str) -> bool:
    return tag.startswith("group:")


def _origin(run: ExportedRun, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    key = run.key
    origin: dict[str, Any] = {
        "source": "neptune",
        "project": key.project_id,
        "run_id": key.run_id,
        "kind": key.kind.value,
        IDENTITY: external_id(key, 1),
        "fingerprint": run.fingerprint,
    }
    sys_id = value_of(parameters.get(SysAttribute.ID), str)
    if sys_id:
        origin["sys_id"] = sys_id
    if run.url:
        origin["url"] = run.url
    parent = run.parent()
    if parent is not None:
        origin["fork"] = {"parent": parent.run_id, "step": _plain(run.fork_step())}
    if run.failures:
        failures = {f.attribute_path or "(run)": f.message for f in run.failures[:1000]}
        origin["not_exported"] = pairs(failures)
    if run.notes:
        origin["notes"] = list(run.notes)
    return origin


def _plain(step: object) -> int | float | None:
    if step is None:
        return None
    value = float(str(step))
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
