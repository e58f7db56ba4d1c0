"""Who may send requests, and what the browser may do with the answers.

A page of another site can send requests to loopback. They are refused: they have a foreign Origin, or a
foreign Host (if the site makes its own name point to loopback), or a Sec-Fetch-Site that says so.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SANDBOX = "default-src 'none'; sandbox"
"""For files of runs: the browser executes nothing in them."""
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Wraps the whole application.

    Args:
        hosts: What the header Host may be, e.g. `127.0.0.1:8000`.
        any_host: Host may also be any address or name of this machine: the server listens on all of them.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], any_host: bool = False) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._any_host = any_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("content-security-policy", POLICY)
            await send(message)

        why = self._refusal(scope["method"], Headers(scope=scope))
        app: ASGIApp = self._app if why is None else PlainTextResponse(why + "\n", status_code=403)
        await app(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> str | None:
        if not self._knows(headers.get("host", "")):
            return "refused: the request names another host"
        if (origin := headers.get("origin")) is not None and not self._knows(urlsplit(origin).netloc):
            return "refused: the request comes from a page of another site"
        is_page = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not is_page:
            return "refused: the request comes from a page of another site"
        return None if method in ("GET", "HEAD") else "refused: nothing can be changed here"

    def _knows(self, host: str) -> bool:
        host = host.lower()
        return host in self._hosts or (self._any_host and _is_this_machine(host))


def _is_this_machine(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in ("localhost", socket.gethostname().lower(), socket.getfqdn().lower())
    return True
