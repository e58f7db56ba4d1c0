"""The settings of the source."""

from __future__ import annotations

from dataclasses import dataclass

from neptune_exporter.contract import setting
from neptune_exporter.contract.server_settings import ServerSettings, timeout_setting


@dataclass(frozen=True)
class Neptune2Settings(ServerSettings):
    """How to reach the server, and what is read beyond what it holds itself."""

    artifact_files: bool = setting(
        default=False,
        help="Also the files that artifacts list, where their path still leads to the same content: on "
        "this machine, or in S3. Neptune itself keeps only the list.",
    )
    timeout: float = timeout_setting("NEPTUNE_REQUEST_TIMEOUT")
