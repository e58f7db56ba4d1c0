"""Text that a dataset, a terminal and one line of a message can hold."""

from __future__ import annotations

_LONGEST_LINE = 1000


def clean(text: str) -> str:
    """The text with U+FFFD in place of each half of a surrogate pair, which UTF-8 cannot hold.

    Paths of Linux need not be UTF-8; Python keeps such bytes as halves of surrogate pairs.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def first_line(error: BaseException) -> str:
    """The first line of what an error says, at most 1,000 characters of it: libraries put whole answers
    of a server into their errors (MLflow does). Of an error that says nothing, what it is.

    Examples:
        >>> first_line(ValueError("not a number\\nat row 3")), first_line(MemoryError())
        ('not a number', 'MemoryError')
    """
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "…"
