"""The settings of the source."""

from __future__ import annotations

from dataclasses import dataclass

from neptune_exporter.contract import Secret, setting


@dataclass(frozen=True)
class Neptune2Settings:
    """How to reach the server, and what is read beyond what it holds itself."""

    api_token: Secret = setting(
        help="API token of Neptune.",
        flag="--api-token",
        env=("NEPTUNE_API_TOKEN",),
    )
    artifact_files: bool = setting(
        default=False,
        help="Also the files that artifacts list, where their path still leads to the same content: on "
        "this machine, or in S3. Neptune itself keeps only the list.",
    )
    connections: int = setting(
        default=8,
        help="Requests to the server at once, over all workers.",
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
        env=("NEPTUNE_REQUEST_TIMEOUT",),
        minimum=1,
        maximum=3600,
    )
