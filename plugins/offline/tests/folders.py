"""Where the clients' folders, logs and databases lie, and changing them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
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


def change(path: Path, *statements: tuple[Any, ...]) -> None:
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(*statement)
    database.close()
