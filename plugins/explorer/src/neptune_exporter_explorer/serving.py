"""The server, which tells where it is once it answers."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette


class Server(uvicorn.Server):
    """Serves an application on a socket that is bound already.

    Args:
        app: What answers.
        started: Called as soon as requests are answered; from then on a signal ends the server in order.
    """

    def __init__(self, app: Starlette, started: Callable[[], object]) -> None:
        super().__init__(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
        self._when_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._when_started()
