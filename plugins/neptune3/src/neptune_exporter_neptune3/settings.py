"""The settings of the source."""

from __future__ import annotations

from dataclasses import dataclass

from neptune_exporter.contract.server_settings import ServerSettings, timeout_setting


@dataclass(frozen=True)
class Neptune3Settings(ServerSettings):
    """How to reach the server."""

    timeout: float = timeout_setting("NEPTUNE_HTTP_REQUEST_TIMEOUT_SECONDS")
