"""Names of runs, projects, tags, attributes and files in W&B."""

from __future__ import annotations

from typing import Any

from neptune_exporter.model import RunKey
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.names import NameRule, digest, only, path_parts, printable
from neptune_exporter.sinks.templates import filled
from neptune_exporter_wandb.rows import STEP
from neptune_exporter_wandb.settings import WandbSettings

_LONGEST_TAG = 64
_TAG = NameRule(_LONGEST_TAG, "characters", clean=str)
_PROJECT = NameRule(128, "characters", clean=only("A-Za-z0-9_. -"), mark="-")
_OWN_FILES = ("output.log", "config.yaml", "requirements.txt", "diff.patch", "conda-environment.yaml")
_STATE_DIGITS = 8


def _attribute(name: str) -> str:
    """wandb takes dashes off both ends of config keys, so that `-a` and `a` would be one."""
    clean = printable(name)
    inner = clean.strip("-")
    return clean if inner == clean else "_" + inner


def _file(name: str) -> str:
    """A name without backslashes and blanks at an end, and outside the folders of wandb's own files."""
    clean = path_parts(printable(name)).replace("\\", "_")
    for character in '<>:"|?*':
        clean = clean.replace(character, "_")
    clean = "/".join(part.strip().rstrip(".") or "_" for part in clean.split("/"))
    first = clean.partition("/")[0].casefold()
    return f"_{clean}" if first in ("media", "artifact") or first.startswith("wandb-") else clean


def is_wandbs(name: str) -> bool:
    """Whether wandb writes a file of this name itself, when it sends a run. None of ours has such a name."""
    return name in _OWN_FILES or name.startswith("wandb-")


ATTRIBUTES = NameRule(
    clean=_attribute, reserved=frozenset({STEP, "neptune", "_wandb", "_step", "_timestamp", "_runtime"})
)
"""For parameters and series."""
FILES = NameRule(200, clean=_file, folds_case=True, reserved=frozenset(_OWN_FILES), paths=True)


def tags_of(run: RunMetadata) -> list[str]:
    """Tags of 1 to 64 characters, each once; a longer one is shortened. All are in the config in full."""
    tags = [tag for tag in (*run.tags, *run.group_tags) if tag]
    return list(dict.fromkeys(t if _TAG.takes(t) else _TAG.marked(t, digest(t)) for t in tags))


def run_id_of(run: RunMetadata, fingerprint: str, where: tuple[str, str]) -> str:
    """The mark of the run, and digits that change with its rows, its name and where it goes."""
    return run.mark + digest(fingerprint, run.name, *where)[:_STATE_DIGITS]


def mark_in(run_id: str) -> str:
    return run_id[:-_STATE_DIGITS]


def project_of(settings: WandbSettings, run: RunMetadata) -> str:
    """The project in W&B: at most 128 letters, digits, blanks, `_`, `-` and `.`."""
    name = filled(settings.project, run)
    return name if _PROJECT.takes(name) else _PROJECT.marked(name, digest(name))


def about(run: RunMetadata) -> dict[str, Any]:
    """Where the run comes from, for the key `neptune` of the config."""
    key: RunKey = run.key
    fork = run.fork_parent
    return {
        "project": key.project_id,
        "run_id": key.run_id,
        "kind": key.kind.value,
        "url": run.url,
        "status": run.status,
        "created": run.created,
        "ended": run.ended,
        "tags": list(run.tags),
        "group_tags": list(run.group_tags),
        "mark": run.mark,
        "fork": None if fork is None else _fork(fork, run),
    }


def _fork(parent: RunKey, run: RunMetadata) -> dict[str, Any]:
    """`wandb_run` and `target_id` say which run of W&B, and which load of it, the parent is."""
    loaded = run.parent_id
    return {
        "parent": parent.run_id,
        "step": str(run.fork_step),
        "wandb_run": None if loaded is None else loaded.partition(".")[0],
        "target_id": loaded,
    }
