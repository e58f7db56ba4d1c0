"""Text that a dataset and a terminal can hold.

Paths of Linux need not be UTF-8; Python keeps such bytes as halves of surrogate pairs.
"""

from __future__ import annotations


def clean(text: str) -> str:
    """The text with U+FFFD in place of each half of a surrogate pair, which UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
