"""`--pluto-rehearse`: the same load, into a Pluto on this machine that is started for it and ends with it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from neptune_exporter.contract import LoadOptions, MissingDependencyError, Secret, SinkError, UsageError
from neptune_exporter_pluto.settings import PlutoSettings
from neptune_exporter_pluto.sink import PlutoSink
from neptune_exporter_pluto.state.disk_errors import check_writable
from neptune_exporter_pluto.state.session import Session

_START_WITHIN = 60.0
_END_WITHIN = 60.0
_TEMPORARY = "TEMP" if os.name == "nt" else "TMPDIR"
"""The variable by which a person moves the folder of temporary files."""
_SHOWN = {
    "runs": "runs",
    "points": "points",
    "string_series_rows": "string series entries",
    "log_lines": "log lines",
    "histograms": "histograms",
    "tables": "tables",
    "files": "files and texts",
    "file_bytes": "bytes of files and texts",
    "bytes": "bytes sent",
    "requests": "requests",
}
"""Counts of the local Pluto, and what they are called in the report."""


class RehearsalSink(PlutoSink):
    """Loads into a local Pluto. The state and the list of loaded runs of real loads are not touched."""

    def __init__(self, session: Session, server: LocalPluto, kept: Path | None) -> None:
        super().__init__(session)
        self._server = server
        self._kept = kept

    @classmethod
    def started(cls, settings: PlutoSettings, options: LoadOptions) -> RehearsalSink:
        """Start the local Pluto and connect to it. Raises UsageError if the folder to keep is not empty, and
        what `LocalPluto.start` does."""
        kept = settings.rehearse_folder
        if kept is not None and kept.exists() and any(kept.iterdir()):
            raise UsageError(f"--pluto-rehearse-folder takes an empty folder: {kept} holds something")
        server = LocalPluto.start(kept)
        try:
            local = replace(
                settings,
                api_key=server.api_key,
                host=None,
                url_api=server.url,
                url_ingest=server.url,
                base_dir=server.state_folder,
                loaded_cache=None,
            )
            return cls(PlutoSink.connected(local, options, local=True).session, server, kept)
        except BaseException:
            server.end()
            raise

    def closing_report(self) -> Mapping[str, str | int]:
        stats = self._server.stats()
        report: dict[str, str | int] = dict(super().closing_report()) | {
            f"rehearsed: {label}": int(stats[name]) for name, label in _SHOWN.items() if name in stats
        }
        if self._kept is not None:
            report["kept in"] = str(self._kept)
        return report

    def close(self) -> None:
        super().close()
        self._server.end()


@dataclass(frozen=True)
class LocalPluto:
    """The process of the local Pluto. It ends when its pipe closes, so also if this process is killed."""

    process: subprocess.Popen[bytes]
    url: str
    api_key: Secret
    state_folder: Path

    @classmethod
    def start(cls, kept: Path | None) -> LocalPluto:
        """Start it on a port of the system's choice and wait until it answers.

        Raises:
            MissingDependencyError: the package of the local Pluto is not installed.
            UsageError: the folder for temporary files has no locks, or cannot be written.
            SinkError: it did not come up.
        """
        command = [sys.executable, "-m", "neptune_exporter_pluto_server", "--until-stdin-closes"]
        if kept is not None:
            command += ["--folder", str(kept)]
        if importlib.util.find_spec("neptune_exporter_pluto_server") is None:
            raise MissingDependencyError(
                "--pluto-rehearse needs a local Pluto, which is not installed: "
                "to add it, in a clone of the repository: uv sync --inexact --extra rehearse, or "
                "pip install ./servers/pluto"
            )
        check_writable(_TEMPORARY, Path(tempfile.gettempdir()))
        state_folder = Path(tempfile.mkdtemp(prefix="pluto-rehearsal-state-"))
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None  # it is a pipe
        watch = threading.Timer(_START_WITHIN, process.kill)
        watch.start()
        try:
            started = json.loads(process.stdout.readline())
        except ValueError:
            _end(process)
            shutil.rmtree(state_folder, ignore_errors=True)
            raise SinkError(
                "the local Pluto of the rehearsal did not start; "
                f"try it by hand: {Path(sys.executable).name} -m neptune_exporter_pluto_server --port 0"
            ) from None
        finally:
            watch.cancel()
        return cls(process, started["url_api"], Secret(started["api_key"]), state_folder)

    def stats(self) -> Mapping[str, int]:
        answer = httpx.get(f"{self.url}/rehearsal/stats", timeout=60, trust_env=False)
        return dict(answer.raise_for_status().json())

    def end(self) -> None:
        """Let it keep what it should keep, and end. Harmless to repeat."""
        _end(self.process)
        shutil.rmtree(self.state_folder, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_END_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
