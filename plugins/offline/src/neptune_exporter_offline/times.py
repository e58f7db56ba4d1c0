"""Times as the clients write them: milliseconds since 1970, the resolution of the dataset."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST = (datetime.min.replace(tzinfo=timezone.utc) - _EPOCH) // timedelta(milliseconds=1)
_LAST = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // timedelta(milliseconds=1)

NO_TIME = "Points have no time where the logged one is not between the years 1 and 9999"
"""A note. The usual cause is a time in milliseconds or nanoseconds where the client wants seconds."""


def from_seconds(seconds: float) -> int | None:
    """Milliseconds from a double of seconds, which is first rounded to microseconds.

    1700000000.123 is stored as a slightly smaller double, which would be cut to 122 ms. None
    if it is no time between the years 1 and 9999, beyond which Python has no datetime.
    """
    try:
        milliseconds = round(seconds * 1_000_000) // 1000
    except (TypeError, ValueError, OverflowError):  # not a number, or not a finite one
        return None
    return milliseconds if _FIRST <= milliseconds <= _LAST else None


def from_nanos(seconds: int, nanos: int) -> int | None:
    """Milliseconds from a protobuf Timestamp. None beyond the years 1 to 9999.

    neptune-scale computes nanoseconds in floating point (`datetime_to_proto`): 0.123 s
    becomes 122,999,907 ns. So they are rounded to microseconds before they are cut.
    """
    milliseconds = (seconds * 1_000_000 + (nanos + 500) // 1000) // 1000
    return milliseconds if _FIRST <= milliseconds <= _LAST else None


def to_datetime(milliseconds: int) -> datetime:
    """Aware. Raises OverflowError beyond the years 1 to 9999."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def parse_iso(text: object) -> datetime | None:
    """An ISO time as `metadata.json` has it; None if the text is not a time."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def from_mtime(nanoseconds: int) -> datetime:
    """A file's modification time, exactly to the microsecond."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
