"""The settings of the source."""

from __future__ import annotations

from dataclasses import dataclass

from neptune_exporter.contract import Secret, setting


@dataclass(frozen=True)
class Neptune3Settings:
    """How to reach the server."""

    api_token: Secret = setting(
        help="API token of Neptune.",
        flag="--api-token",
        env=("NEPTUNE_API_TOKEN",),
    )
    connections: int = setting(
        default=8,
        help="Requests and downloads at once, over all workers.",
        minimum=1,
        maximum=64,
    )
    retry_seconds: int = setting(
        default=300,
        help="For how many seconds a request is tried again when the server is busy or away. 0: never.",
        minimum=0,
        maximum=86_400,
    )
    timeout: float = setting(
        default=60.0,
        help="Seconds to wait for bytes of an answer before the request counts as failed.",
        env=("NEPTUNE_HTTP_REQUEST_TIMEOUT_SECONDS",),
        minimum=1,
        maximum=3600,
    )
