"""Known gaps that a person accepts, so that `verify` reports only what is new.

The file is JSON for people to read and edit: a list `accepted` of what was found, each with its project, run,
item, reason, and the SHA-256 of the item as it was then (null if it is missing). An optional `note` is for
whoever reads it. An entry accepts exactly that: another reason, or other bytes, are new damage. The advice of
a finding is left out, because other wording does not make it new.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neptune_exporter.contract import DatasetError, UsageError
from neptune_exporter.dataset import Dataset, Finding

_FORMAT = "neptune-exporter-accepted"
_HINT = "`verify --write-accepted` writes one"


@dataclass(frozen=True)
class Accepted:
    """One gap that is known."""

    project: str | None
    run: str | None
    kind: str | None
    item: str
    reason: str
    sha256: str | None

    @classmethod
    def of(cls, dataset: Dataset, finding: Finding) -> Accepted:
        """The entry that would accept a finding as it is now."""
        key = finding.run
        project, run, kind = (key.project_id, key.run_id, key.kind.value) if key else (None, None, None)
        return cls(project, run, kind, finding.item, finding.reason, _digest(dataset, finding))


def read_accepted(path: Path) -> list[Accepted]:
    """The gaps that a file lists. Raises UsageError if the file cannot be read, or has another format."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict) or value.get("format") != _FORMAT:
            raise ValueError(f"its format is not {_FORMAT}")
        names = tuple(Accepted.__dataclass_fields__)
        return [Accepted(**{name: entry[name] for name in names}) for entry in value["accepted"]]
    except OSError as error:
        raise UsageError(f"--accept: {path} cannot be read: {error.strerror}; {_HINT}") from error
    except json.JSONDecodeError as error:
        raise UsageError(f"--accept: {path} is no list of accepted problems; {_HINT}") from error
    except KeyError as error:
        raise UsageError(f"--accept: {path} lacks {error}; {_HINT}") from error
    except (ValueError, TypeError) as error:
        raise UsageError(f"--accept: {path}: {error}; {_HINT}") from error


def accepted_document(dataset: Dataset, findings: Sequence[Finding]) -> dict[str, Any]:
    """All damage and all gaps that were found, in the format that `read_accepted` reads."""
    damage = dict.fromkeys(Accepted.of(dataset, finding) for finding in findings if finding.is_loss)
    return {"format": _FORMAT, "version": 1, "accepted": [{**vars(each), "note": ""} for each in damage]}


def divide(
    dataset: Dataset, findings: Sequence[Finding], accepted: Sequence[Accepted]
) -> tuple[list[Finding], list[Finding], int]:
    """The new findings, the accepted ones, and how many entries match no finding."""
    known = set(accepted)
    items = {(each.run, each.item) for each in accepted}
    new: list[Finding] = []
    old: list[Finding] = []
    met: set[Accepted] = set()
    for finding in findings:
        entry = None
        if finding.is_loss and (finding.run.run_id if finding.run else None, finding.item) in items:
            # computing the SHA-256 reads the whole item, so only for items that may be accepted
            entry = Accepted.of(dataset, finding)
        if entry in known and entry is not None:
            met.add(entry)
            old.append(finding)
        else:
            new.append(finding)
    return new, old, len(known - met)


def _digest(dataset: Dataset, finding: Finding) -> str | None:
    """The SHA-256 of a part or a file; None for a gap, and for an item that is missing or cannot be read."""
    try:
        if finding.is_gap:
            return None
        if dataset.data.size(finding.item) is not None:
            return dataset.data.sha256(finding.item)
        run = dataset.run(finding.run) if finding.run else None
        path = run.file_path(finding.item) if run is not None else None
        return None if path is None else dataset.file_storage.sha256(path)
    except DatasetError:
        return None
