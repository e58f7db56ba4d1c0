"""The last file of a loaded run: all that is needed to see the run as it was in Neptune."""

from __future__ import annotations

import json

from neptune_exporter.contract import ExportedRun
from neptune_exporter.sinks.made import MANIFEST
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.received import FileToSend
from neptune_exporter.sinks.walk import Walk, made_text


def manifest(run: ExportedRun, metadata: RunMetadata, walk: Walk) -> FileToSend:
    """The run's changed names, types of parameters, files, fork and losses, as JSON."""
    key, parent = run.key, metadata.fork_parent
    content = {
        "project": key.project_id,
        "run_id": key.run_id,
        "kind": key.kind.value,
        "url": metadata.url,
        "fork": None if parent is None else {"parent": parent.run_id, "step": str(metadata.fork_step)},
        "step_multiplier": str(walk.multiplier),
        "names": dict(walk.names.changed()),
        "types": walk.types,
        "files": walk.files,
        "finite": walk.finite,
        "tables": walk.tables,
        "losses": [
            {"reason": loss.reason, "message": loss.message, "count": loss.count, "path": loss.attribute_path}
            for loss in walk.losses.losses()
        ],
    }
    return made_text(MANIFEST, json.dumps(content, indent=1).encode())
