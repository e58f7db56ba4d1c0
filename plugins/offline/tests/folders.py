"""Where the clients' folders, logs and databases lie, and changing them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

Logging = Callable[..., Any]
"""A fixture that gives a context with a run of a real client."""


def work_of(tmp_path: Path) -> Path:
    return tmp_path / "work"


def folder_of(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "work" / ".neptune" / "offline").iterdir()
    return folder


def log_of(tmp_path: Path) -> Path:
    return folder_of(tmp_path) / "data-1.log"


def database_of(tmp_path: Path) -> Path:
    (path,) = work_of(tmp_path).rglob("run_operations.sqlite3")
    return path


def container(
    work: Path, kind: str, uuid: str, *, mode: str = "async", process: int = 1, at: float = 1.7e9
) -> Path:
    """A folder as the client lays it out (`get_container_dir`), with one value."""
    folder = work / ".neptune" / mode / f"{kind}__{uuid}__{process}__abcdefgh"
    (folder / "upload_path").mkdir(parents=True)
    created = datetime.fromtimestamp(at, timezone.utc).isoformat()
    metadata = {"mode": mode, "containerId": uuid, "containerType": kind, "createdAt": created}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    operation = {"type": "AssignString", "path": ["which"], "value": f"{kind} {uuid} {process}"}
    (folder / "data-1.log").write_text(json.dumps({"obj": operation, "version": 1, "at": at}) + "\n")
    (folder / "last_put_version").write_text("1")
    (folder / "last_ack_version").write_text("")
    return folder


def change(path: Path, *statements: tuple[Any, ...]) -> None:
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(*statement)
    database.close()
