"""Settings that every source has which reads a server of Neptune."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neptune_exporter.contract.settings import Secret, setting


@dataclass(frozen=True)
class ServerSettings:
    """How to reach the server. A source derives its settings from this and adds its `timeout`.

    Examples:
        >>> ServerSettings(Secret("key-7Qx4")).connections
        8
    """

    api_token: Secret = setting(help="API token of Neptune.", flag="--api-token", env=("NEPTUNE_API_TOKEN",))
    connections: int = setting(
        default=8, help="Requests and downloads at once, over all workers.", minimum=1, maximum=64
    )
    retry_seconds: int = setting(
        default=300,
        help="For how many seconds a request is tried again when the server is busy or away. 0: never.",
        minimum=0,
        maximum=86_400,
    )


def timeout_setting(variable: str) -> Any:
    """The setting `timeout`, in seconds, also read from a variable of the source's client.

    Examples:
        >>> @dataclass(frozen=True)
        ... class AcmeSettings(ServerSettings):
        ...     timeout: float = timeout_setting("ACME_TIMEOUT")
        >>> AcmeSettings(Secret("key-7Qx4")).timeout
        60.0
    """
    return setting(
        default=60.0,
        help="Seconds to wait for bytes of an answer before the request counts as failed.",
        env=(variable,),
        minimum=1,
        maximum=3600,
    )
