"""The summary as one JSON document. Times are ISO 8601 in UTC, sizes are bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, TextIO

from neptune_exporter.contract import DatasetSummary, ExportedRun, ProjectSummary, Reporter, RunSummary
from neptune_exporter.model import RunKey
from neptune_exporter.redaction import escaped


class JsonReporter(Reporter):
    """Everything that the records hold, and totals."""

    def write(self, summary: DatasetSummary, open_run: Callable[[RunKey], ExportedRun], out: TextIO) -> None:
        text = json.dumps(summary_document(summary), indent=2, ensure_ascii=False, allow_nan=False)
        out.write(escaped(text) + "\n")


def summary_document(summary: DatasetSummary) -> dict[str, Any]:
    """The summary in types that JSON has."""
    runs = summary.runs
    return {
        "format_version": summary.format_version,
        "data_path": summary.data_path,
        "files_path": summary.files_path,
        "totals": {
            "projects": len(summary.projects),
            "runs": len(runs),
            "attributes": sum(count.attributes for run in runs for count in run.types.values()),
            "rows": sum(count.rows for run in runs for count in run.types.values()),
            "files": sum(run.files for run in runs),
            "data_bytes": sum(run.data_bytes for run in runs),
            "file_bytes": sum(run.file_bytes for run in runs),
        },
        "projects": [_project(project) for project in summary.projects],
        "problems": list(summary.problems),
    }


def _project(project: ProjectSummary) -> dict[str, Any]:
    return {"project_id": project.project_id, "runs": [_run(run) for run in project.runs]}


def _run(run: RunSummary) -> dict[str, Any]:
    return {
        "run_id": run.key.run_id,
        "kind": run.key.kind.value,
        "name": run.name,
        "tags": list(run.tags),
        "state": run.state,
        "source": run.source,
        "exported_at": _time(run.exported_at),
        "types": {
            attribute_type.value: {"attributes": count.attributes, "rows": count.rows}
            for attribute_type, count in sorted(run.types.items())
        },
        "steps": {
            "minimum": _number(run.steps.minimum),
            "maximum": _number(run.steps.maximum),
            "count": run.steps.count,
        },
        "first_time": _time(run.first_time),
        "last_time": _time(run.last_time),
        "data_bytes": run.data_bytes,
        "files": run.files,
        "file_bytes": run.file_bytes,
        "failures": run.failures,
        "problems": list(run.problems),
        "notes": list(run.notes),
    }


def _time(value: datetime | None) -> str | None:
    return value.astimezone(timezone.utc).isoformat() if value is not None else None


def _number(value: float | None) -> float | int | str | None:
    """JSON has no NaN and no infinity: they become text. Whole steps stay whole."""
    if value is None:
        return None
    if not math.isfinite(value):
        return str(value)
    return int(value) if value == int(value) else value
