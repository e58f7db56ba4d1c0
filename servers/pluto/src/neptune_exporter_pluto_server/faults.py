"""The ways in which a Pluto goes wrong, as faults for `RehearsalServer.fail`.

Each acts on the next `times` requests whose path matches, then ends.
"""

from __future__ import annotations

import json
from typing import Any

from neptune_exporter.testing.loopback import Fault

INGEST = "^/ingest/"
ANYTHING = ".*"


def database_busy(path: str = INGEST, times: int = 1, skip: int = 0) -> Fault:
    """The ingest finds no database connection to look the key up: a 422 that means "later"."""
    kind = path.rstrip("$").rpartition("/")[2] or "metrics"
    message = (
        f"Failed to process {kind} stream: DatabaseError (4001 - Database Error): Failed to validate API key"
    )
    body = json.dumps({"code": "PROCESSING_FAILED", "message": message}).encode()
    return Fault(path, status=422, body=body, times=times, skip=skip)


def unavailable(
    status: int = 503,
    path: str = ANYTHING,
    retry_after: str | None = None,
    times: int = 1,
    skip: int = 0,
) -> Fault:
    """A proxy in front answers 429, 502, 503 or 504; `retry_after` in seconds or as an HTTP date."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    body = f"<html><body>{status}</body></html>".encode()
    return Fault(
        path, status=status, headers=headers, body=body, content_type="text/html", times=times, skip=skip
    )


def commit_then_drop(path: str = INGEST, times: int = 1, skip: int = 0) -> Fault:
    """Everything is accepted and stored, and then the connection closes without an answer."""
    return Fault(path, drop=True, after_handling=True, times=times, skip=skip)


def commit_then_fail(status: int = 504, path: str = INGEST, times: int = 1, skip: int = 0) -> Fault:
    """Everything is accepted and stored, and a proxy answers with an error."""
    return Fault(path, status=status, after_handling=True, times=times, skip=skip)


def dropped(path: str = ANYTHING, times: int = 1, skip: int = 0) -> Fault:
    """The connection closes before anything was read."""
    return Fault(path, drop=True, times=times, skip=skip)


def stalled(seconds: float, path: str = INGEST, times: int = 1, skip: int = 0) -> Fault:
    """Back-pressure: nothing is read for so long, then all goes on."""
    return Fault(path, delay=seconds, times=times, skip=skip)


NAMED = {
    "database_busy": database_busy,
    "unavailable": unavailable,
    "commit_then_drop": commit_then_drop,
    "commit_then_fail": commit_then_fail,
    "dropped": dropped,
    "stalled": stalled,
}


def from_json(value: Any) -> Fault:
    """A fault of `POST /rehearsal/faults`: {"fault": name, …its arguments} or the fields of `Fault`.

    Raises:
        TypeError, KeyError: unknown name or field.
    """
    given = dict(value)
    if "where" in given:
        raise TypeError("`where` is for Python only")
    name = given.pop("fault", None)
    if name is not None:
        make: Any = NAMED[name]
        fault: Fault = make(**given)
        return fault
    if "body" in given:
        given["body"] = given["body"].encode()
    return Fault(**given)
