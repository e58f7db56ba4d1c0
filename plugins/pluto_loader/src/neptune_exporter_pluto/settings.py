"""Every option of the loader; each is a flag, a variable and a TOML key."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neptune_exporter.contract import Secret, UsageError, setting

MAX_NAME = 255
"""Characters of run names, project names and external ids; Pluto answers 500 above."""
NAMES_A_CALL = 500


def _whole(default: int, help: str, least: int = 1, most: int = 2**31 - 1) -> Any:
    return setting(default=default, minimum=least, maximum=most, help=help)


def _seconds(default: float, help: str, least: float = 0, most: float | None = 86_400) -> Any:
    return setting(default=default, minimum=least, maximum=most, help=help)


@dataclass(frozen=True)
class PlutoSettings:
    """Settings of `--loader pluto`."""

    api_key: Secret | None = setting(
        default=None,
        env=("PLUTO_API_KEY", "MLOP_API_TOKEN"),
        help="API key of Pluto. Default: the key that Pluto's own client has stored.",
    )
    host: str | None = setting(
        default=None,
        help="Host of a Pluto of your own; its services are expected on the ports 3001 and 3003.",
    )
    url_api: str | None = setting(
        default=None, env=("PLUTO_URL_API", "MLOP_URL_API"), help="Address of the API service."
    )
    url_ingest: str | None = setting(
        default=None, env=("PLUTO_URL_INGEST", "MLOP_URL_INGEST"), help="Address of the ingest service."
    )
    project_name: str | None = setting(
        default=None, help="Project in Pluto that all runs go to; default: Neptune's project id."
    )
    without_workspace: bool = setting(
        default=False,
        help="Name projects in Pluto without the workspace, as pluto.compat.neptune_query looks for them.",
    )
    base_dir: Path | None = setting(
        default=None,
        help="Folder of the cache file and of the state that lets an interrupted load go on. "
        "Default: the working folder, or on a cluster a folder in the dataset's.",
    )
    loaded_cache: Path | None = setting(
        default=None,
        help="File that lists the loaded runs; default: .pluto_upload_cache.txt in the base folder.",
    )
    batch_rows: int = _whole(
        10_000, "Rows read at a time: more take more memory and are faster.", least=1_000
    )
    log_every: int = _whole(
        1, "Keep only every N-th point of each metric, and its first and last; 1 keeps all."
    )
    flush_every: int = _whole(
        1_000, "Metric steps that a request holds at least: more take more memory.", least=100
    )
    file_chunk_size: int = _whole(100, "Files in one upload batch.")
    file_chunk_sleep: float = _seconds(0.5, "Seconds between two upload batches of a run.")
    max_files_per_run: int = _whole(0, "Upload at most this many files of a run; 0: all.", least=0)
    connections: int = _whole(
        4, "Requests under way at once; Pluto has 5 database connections for them.", most=64
    )
    file_connections: int = _whole(8, "File uploads under way at once.", most=64)
    timeout: float = _seconds(
        300, "Seconds to wait for an answer; Pluto stalls when it is busy, so be patient.", least=1
    )
    retry_for: float = _seconds(
        300, "Seconds for which a request that failed for a passing reason is tried again.", most=None
    )
    visible_within: float = _seconds(60, "Seconds to wait until what was sent can be read back (normally 6).")
    restart_unfinished: bool = setting(
        default=False, help="Load again, from the beginning, runs that another machine left half loaded."
    )
    rehearse: bool = setting(
        default=False,
        help="Load into a Pluto on this machine that is started for it, to see what would happen.",
    )
    rehearse_folder: Path | None = setting(
        default=None, help="Keep what the rehearsal stored in this folder; default: nothing is kept."
    )

    def __post_init__(self) -> None:
        if self.project_name is not None:
            check_project_name(self.project_name)
            if self.without_workspace:
                raise UsageError("--pluto-project-name and --pluto-without-workspace exclude each other")
        if (self.url_api is None) != (self.url_ingest is None):
            missing = "PLUTO_URL_INGEST" if self.url_ingest is None else "PLUTO_URL_API"
            raise UsageError(
                f"a Pluto of your own needs both PLUTO_URL_API and PLUTO_URL_INGEST: {missing} is missing"
            )


def divided(settings: PlutoSettings, processes: int) -> PlutoSettings:
    """The settings for each of several processes, which share the connections. Raises UsageError if there are
    fewer connections than processes, it is a rehearsal, or this is Windows, where two processes cannot append
    to one file without losing lines."""
    if os.name == "nt":
        raise UsageError("--executor: on Windows this loader loads in threads only")
    if settings.rehearse:
        raise UsageError("--executor: a rehearsal loads in threads only")
    for flag, connections in (
        ("--pluto-connections", settings.connections),
        ("--pluto-file-connections", settings.file_connections),
    ):
        if connections < processes:
            raise UsageError(
                f"-j {processes}: each worker process takes a connection, and {flag} is {connections}"
            )
    return replace(
        settings,
        connections=settings.connections // processes,
        file_connections=settings.file_connections // processes,
    )


def check_project_name(name: str) -> None:
    """Raise UsageError for a project name that Pluto's ingest cannot take: it travels in a header."""
    if (
        not name
        or len(name) > MAX_NAME
        or name != name.strip()
        or not (name.isascii() and name.isprintable())
    ):
        raise UsageError(
            f"{name!r} cannot be the name of a project in Pluto: "
            f"it takes 1 to {MAX_NAME} printable ASCII characters, without spaces around them"
        )
