"""Text that a dataset and a terminal can hold, and that may be shown.

Paths of Linux need not be UTF-8; Python keeps such bytes as halves of surrogate pairs.
"""

from __future__ import annotations

from neptune_exporter.redaction import redact


def clean(text: str) -> str:
    """The text with U+FFFD in place of each half of a surrogate pair, which UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def one_line(text: str, most: int) -> str:
    """What a client or a server says, in one line of limited length and without credentials.

    Those go first: of one that was cut nobody knows any more what it is.
    """
    line = redact(" ".join(text.split()))
    return line if len(line) <= most else line[:most] + "…"
