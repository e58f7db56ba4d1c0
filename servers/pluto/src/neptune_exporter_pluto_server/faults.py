"""The ways in which a Pluto goes wrong, as faults for `RehearsalServer.fail`.

Each acts on the next `times` requests whose path matches, then ends.
"""

from __future__ import annotations

import json
from dataclasses import replace
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


def dripping(seconds: float = 0.02, path: str = ANYTHING, times: int = 1, skip: int = 0) -> Fault:
    """Everything is accepted and stored, and the answer comes a byte every `seconds`."""
    return Fault(path, drip=seconds, times=times, skip=skip)


LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>"


def page(path: str = ANYTHING, body: bytes = LOGIN_PAGE, times: int = 1, skip: int = 0) -> Fault:
    """Something in between answers 200 itself, with a login page, `b""` or `b"null"`: nothing is taken."""
    kind = "text/html" if body.startswith(b"<") else "application/json"
    return Fault(path, status=200, body=body, content_type=kind, times=times, skip=skip)


def commit_then_page(path: str = INGEST, body: bytes = LOGIN_PAGE, times: int = 1, skip: int = 0) -> Fault:
    """Everything is accepted and stored, and something in between answers 200 with a page of its own."""
    return replace(page(path, body, times, skip), after_handling=True)


def miscounted(path: str = INGEST, records: int = 1, times: int = 1, skip: int = 0) -> Fault:
    """The ingest says that it has taken another number of records than it was sent, and took none."""
    text = f"Stream processed successfully: {records} records".encode()
    return Fault(path, status=200, body=text, content_type="text/plain", times=times, skip=skip)


def stored_otherwise(etag: str | None = "0" * 32, times: int = 1, skip: int = 0) -> Fault:
    """The storage keeps other bytes, as the ETag of its answer shows; None: it gives no ETag at all."""
    headers = {} if etag is None else {"ETag": f'"{etag}"'}
    return Fault("^/storage/", method="PUT", status=200, headers=headers, times=times, skip=skip)


def storage_refuses(status: int = 403, times: int = 1, skip: int = 0) -> Fault:
    """The storage refuses an upload address that is good, as a busy or misconfigured one does for a while."""
    code = "AccessDenied" if status == 403 else "Unauthorized"
    body = f"<Error><Code>{code}</Code><Message>Access Denied</Message></Error>".encode()
    return Fault(
        "^/storage/",
        method="PUT",
        status=status,
        body=body,
        content_type="application/xml",
        times=times,
        skip=skip,
    )


NAMED = {
    "database_busy": database_busy,
    "unavailable": unavailable,
    "commit_then_drop": commit_then_drop,
    "commit_then_fail": commit_then_fail,
    "dropped": dropped,
    "stalled": stalled,
    "dripping": dripping,
    "page": page,
    "commit_then_page": commit_then_page,
    "miscounted": miscounted,
    "stored_otherwise": stored_otherwise,
    "storage_refuses": storage_refuses,
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
        if "body" in given:
            given["body"] = given["body"].encode()
        make: Any = NAMED[name]
        fault: Fault = make(**given)
        return fault
    if "body" in given:
        given["body"] = given["body"].encode()
    return Fault(**given)
