"""What an answer of Pluto means: whether to retry, and whether the server may have taken the request."""

from __future__ import annotations

from enum import Enum

import httpx

from neptune_exporter.toolkit import one_line

_LONGEST_EXCERPT = 300


class Outcome(Enum):
    """The outcome of a request."""

    DONE = "done"
    REFUSED = "refused"
    """Permanently refused: sending it again cannot succeed."""
    UNAUTHORIZED = "unauthorized"
    BUSY = "busy"
    """Not taken; may be tried again."""
    UNCERTAIN = "uncertain"
    """May or may not have been taken. Trying again can duplicate what Pluto does not deduplicate."""


def of_response(response: httpx.Response) -> Outcome:
    """Judge an answer.

    The ingest answers 422 to every error; only the text says which. Bad
    credentials and database trouble are found before the first line is read
    (pluto-server, the Rust ingest).

    Under load, Pluto itself stalls. A 429 comes from a rate limit in front of Pluto, which refuses requests
    before it passes them on. A 503 of Pluto itself (`/files` without a database) comes before anything is
    taken, and has Pluto's error as its body; any other is a proxy's, and some answer so when the connection
    to the server broke after it had taken the request.
    """
    status = response.status_code
    if response.is_success:
        return Outcome.DONE
    if status in (401, 403):
        return Outcome.UNAUTHORIZED
    if status == 429 or (status == 503 and _is_own_error(response)):
        return Outcome.BUSY
    if status == 422:
        text = response.text
        if "DatabaseError" in text or "database" in text.lower():
            return Outcome.BUSY
        return Outcome.UNAUTHORIZED if "Authentication" in text else Outcome.REFUSED
    if status == 408 or status >= 500:
        return Outcome.UNCERTAIN
    return Outcome.REFUSED


def _is_own_error(response: httpx.Response) -> bool:
    """Whether the body is an error as Pluto's ingest writes them, not one of a proxy."""
    try:
        body = response.json()
    except ValueError:
        return False
    return isinstance(body, dict) and isinstance(body.get("code"), str) and "message" in body


def of_error(error: httpx.TransportError) -> Outcome:
    """Judge a connection that failed: only one that was never made is certain to have carried nothing."""
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return Outcome.BUSY
    if isinstance(error, (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)):
        return Outcome.UNCERTAIN
    return Outcome.REFUSED


def excerpt(response: httpx.Response) -> str:
    """What the server said, on one line, else what the status means."""
    return one_line(response.text, _LONGEST_EXCERPT) or response.reason_phrase
