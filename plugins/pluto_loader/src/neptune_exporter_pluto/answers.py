"""The answers of Pluto's services to requests that they have carried out. No other answer is an
acknowledgement.

A status of 200 alone proves nothing: a login page, a captive portal and a misconfigured proxy answer 200 too.
The shapes are those that pluto-server 3e89082 gave when it was recorded; the sentence of the ingest is in its
`ingest/src/processors/stream.rs`.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from neptune_exporter.toolkit import one_line

_PROCESSED = re.compile(rb"\s*Stream processed successfully: (\d+) records\s*")
_LONGEST_EXCERPT = 120


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
    text = one_line(content[: 4 * _LONGEST_EXCERPT].decode("utf-8", "replace"), _LONGEST_EXCERPT)
    return text or "nothing"
