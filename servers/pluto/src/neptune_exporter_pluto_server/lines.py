"""Lines of newline-delimited JSON, judged as the real ingest judges them.

The real one (pluto-server, `ingest/src/processors/stream.rs`) reads a line as a
Rust structure that denies unknown fields. `load_exact` does the same for one
line, with everything that Python's readers would let pass: a field given twice,
integers beyond 64 bits, text after the object. The block readers of
`metric_lines` and `record_lines` take only what is regular beyond doubt and
leave every other block to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

U64_MAX = (1 << 64) - 1
I64_MIN = -(1 << 63)
BLOCK = 1 << 20

_BLANKS = b" \t\r\n"
_NEWLINE, _OPEN, _CLOSE = b"\n{}"
_NON_FINITE = re.compile(rb'"(?:[^"\\]|\\.)*"|(-Infinity|Infinity|NaN)', re.DOTALL)


class BadLineError(Exception):
    """A line that the real ingest refuses.

    Args:
        code: name and number as in its `ErrorCode`, e.g. "StreamDecodingError (3004".
    """

    def __init__(self, code: str, kind: str, message: str) -> None:
        super().__init__(f"{code} - {kind}): {message}")

    @classmethod
    def undecodable(cls, line: bytes, why: str, final: bool = False) -> BadLineError:
        shown = line.decode("utf-8", "replace")[:100]
        place = "final JSON line" if final else "JSON line"
        return cls(
            "StreamDecodingError (3004",
            "Processing Error",
            f"Failed to parse {place} (bytes): '{shown}': {why}",
        )

    @classmethod
    def invalid(cls, code: str, message: str) -> BadLineError:
        return cls(code, "Validation Error", message)


@dataclass(frozen=True)
class Block:
    """Whole lines without the last newline."""

    text: bytes
    final: bool
    """The stream ended without a newline after the last of these."""


class Pairs(list[tuple[str, Any]]):
    """A JSON object with all its members, in order."""


def blocks(pieces: Iterable[bytes], size: int = BLOCK) -> Iterator[Block]:
    """Cut a stream at newlines into blocks of about `size` bytes.

    Raises:
        ConnectionError: the client went away; the whole lines that it had sent
            are given out before.
    """
    held = bytearray()
    gone: ConnectionError | None = None
    try:
        for piece in pieces:
            held += piece
            if len(held) >= size:
                end = held.rfind(b"\n")
                if end >= 0:
                    yield Block(bytes(held[:end]), False)
                    del held[: end + 1]
    except ConnectionError as error:
        gone = error
    if gone is not None:
        end = held.rfind(b"\n")
        if end >= 0:
            yield Block(bytes(held[:end]), False)
        raise gone
    if held:
        ends = held.endswith(b"\n")
        yield Block(bytes(held[:-1] if ends else held), not ends)


def looks_regular(text: bytes) -> int:
    """The number of lines if every newline stands between two objects, else 0.

    Together with a reader that finds as many objects this means that each line
    is one object. Also 0 for what Arrow's reader would not refuse: text that is
    not UTF-8, and NUL, which could end a name early.
    """
    if not (text.startswith(b"{") and text.endswith(b"}")):
        return 0
    characters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(characters == _NEWLINE)
    if not ((characters[ends - 1] == _CLOSE) & (characters[ends + 1] == _OPEN)).all():
        return 0
    if b"\\u0000" in text:
        return 0
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return 0
    return len(ends) + 1


def stripped(line: bytes) -> bytes:
    """As the real one trims: blanks before, blanks and line ends behind."""
    return line.rstrip(_BLANKS).lstrip(b" \t")


def load_exact(line: bytes, final: bool) -> Pairs:
    """One trimmed line with all its members; bare NaN and Infinity become strings.

    Raises:
        BadLineError: not JSON, not an object, or a number that 64 bits do not hold.
    """
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError as error:
        line = _NON_FINITE.sub(lambda m: b'"' + m[1] + b'"' if m[1] else m[0], line)
        try:
            orjson.loads(line)
        except orjson.JSONDecodeError:
            raise BadLineError.undecodable(line, str(error), final) from None
    value = _DECODER.decode(line.decode())
    if isinstance(value, Pairs):
        return value
    raise BadLineError.undecodable(line, f"invalid type: {type(value).__name__}, expected a map", final)


def members(pairs: Pairs, names: tuple[str, ...], line: bytes, final: bool) -> dict[str, Any]:
    """The members of a structure that has exactly these.

    Raises:
        BadLineError: unknown, missing or duplicate field; an integer beyond 64 bits.
    """
    found: dict[str, Any] = {}
    expected = ", ".join(f"`{name}`" for name in names)
    for name, value in pairs:
        if name not in names:
            raise BadLineError.undecodable(line, f"unknown field `{name}`, expected one of {expected}", final)
        if name in found:
            raise BadLineError.undecodable(line, f"duplicate field `{name}`", final)
        found[name] = value
    for name in names:
        if name not in found:
            raise BadLineError.undecodable(line, f"missing field `{name}`", final)
    return found


def unsigned(value: Any, name: str, line: bytes, final: bool) -> int:
    if type(value) is int and 0 <= value <= U64_MAX:
        return value
    raise BadLineError.undecodable(line, f"invalid value for `{name}`: {_shown(value)}, expected u64", final)


def text(value: Any, name: str, line: bytes, final: bool) -> str:
    if type(value) is str:
        return value
    raise BadLineError.undecodable(
        line, f"invalid type for `{name}`: {_shown(value)}, expected a string", final
    )


def _shown(value: Any) -> str:
    return repr(value)[:40]


def _integer(digits: str) -> Any:
    # an integer that does not fit is an error wherever it stands, so it becomes
    # a value that no field takes
    if len(digits) <= 20:
        value = int(digits)
        if I64_MIN <= value <= U64_MAX:
            return value
    return _TooLong(digits)


class _TooLong:
    def __init__(self, digits: str) -> None:
        self._digits = digits

    def __repr__(self) -> str:
        return f"integer {self._digits[:24]} (more than 64 bits)"


_DECODER = json.JSONDecoder(object_pairs_hook=Pairs, parse_int=_integer)
