"""What the answers of Pluto's services mean: whether a request was taken, and whether to retry.

A status of 200 alone proves nothing: a login page, a captive portal and a misconfigured proxy answer 200 too.
So only an answer of the expected form is an acknowledgement. The forms are those that pluto-server 3e89082
gave when it was recorded; the sentence of the ingest is in its `ingest/src/processors/stream.rs`.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

import httpx
import orjson

from neptune_exporter.toolkit import one_line

_PROCESSED = re.compile(rb"\s*Stream processed successfully: (\d+) records\s*")
_LONGEST_SHOWN, _LONGEST_EXCERPT = 120, 300


class NotAcknowledgedError(Exception):
    """An answer that does not come from Pluto. The text says what came instead."""


def processed(content: bytes, records: int) -> None:
    """Check that the ingest has accepted this many records: lines of data or logs, points of metrics.

    >>> processed(b"Stream processed successfully: 3 records", 3)

    Raises:
        NotAcknowledgedError: the answer has another number, or says something else.
    """
    match = _PROCESSED.fullmatch(content)
    if match is None:
        raise NotAcknowledgedError(shown(content))
    if int(match[1]) != records:
        raise NotAcknowledgedError(f"{int(match[1])} records taken of the {records} sent")


def updated(content: bytes) -> None:
    """Check the answer of an update, `{"success": true}`."""
    if json_object(content).get("success") is not True:
        raise NotAcknowledgedError(shown(content))


def json_object(content: bytes, **members: type | tuple[type, ...]) -> dict[str, Any]:
    """A JSON object that has these members, each of its type (or one of its types).

    >>> json_object(b'{"total": 3, "logs": []}', total=int, logs=list)["total"]
    3

    Raises:
        NotAcknowledgedError: it is not a JSON object, or a member is missing or of another type.
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise NotAcknowledgedError(shown(content)) from None
    if not isinstance(value, dict):
        raise NotAcknowledgedError(shown(content))
    for name, kind in members.items():
        found = value.get(name)
        if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
            raise NotAcknowledgedError(f"no {name!r} as Pluto gives it in {shown(content)}")
    return value


def about_run(content: bytes, run_id: int, member: str, **members: type | tuple[type, ...]) -> dict[str, Any]:
    """A JSON object about one run, with the run's number in this member."""
    value = json_object(content, **{member: int}, **members)
    if value[member] != run_id:
        raise NotAcknowledgedError(f"run {value[member]} instead of run {run_id}")
    return value


def addresses(content: bytes) -> dict[tuple[str, str], str]:
    """Upload addresses by (logName, fileName), from `{logName: [{fileName: address}]}`."""
    found: dict[tuple[str, str], str] = {}
    for log_name, signed in json_object(content).items():
        if not isinstance(signed, list) or not all(isinstance(pair, dict) for pair in signed):
            raise NotAcknowledgedError(shown(content))
        found |= {(log_name, name): url for pair in signed for name, url in pair.items()}
    if not all(isinstance(url, str) and url.startswith(("http://", "https://")) for url in found.values()):
        raise NotAcknowledgedError("upload addresses that are none")
    return found


def shown(content: bytes) -> str:
    """The beginning of an answer, for an error."""
    text = one_line(content[: 4 * _LONGEST_SHOWN].decode("utf-8", "replace"), _LONGEST_SHOWN)
    return text or "nothing"


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


def outcome_of(response: httpx.Response) -> Outcome:
    """Judge an answer.

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
        return _of_ingest_error(response.text)
    if status == 408 or status >= 500:
        return Outcome.UNCERTAIN
    return Outcome.REFUSED


def _of_ingest_error(text: str) -> Outcome:
    """The ingest answers 422 to every error; only the text says which. Bad credentials and database trouble
    are found before the first line is read (pluto-server, the Rust ingest)."""
    if "database" in text.lower():
        return Outcome.BUSY
    return Outcome.UNAUTHORIZED if "Authentication" in text else Outcome.REFUSED


def _is_own_error(response: httpx.Response) -> bool:
    """Whether the body is an error as Pluto's ingest writes them, not one of a proxy."""
    try:
        body = response.json()
    except ValueError:
        return False
    return isinstance(body, dict) and isinstance(body.get("code"), str) and "message" in body


def outcome_of_error(error: httpx.RequestError) -> Outcome:
    """Judge a request without a readable answer: only a connection that was never made is certain to have
    carried nothing."""
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return Outcome.BUSY
    passing = httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError, httpx.DecodingError
    if isinstance(error, passing):
        return Outcome.UNCERTAIN
    return Outcome.REFUSED


def excerpt(response: httpx.Response) -> str:
    """What the server said, on one line, else what the status means."""
    return one_line(response.text, _LONGEST_EXCERPT) or response.reason_phrase
