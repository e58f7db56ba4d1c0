"""Downloads that survive a broken connection: resumed where they stopped, and checked against their size.

Independent of any HTTP library: a plugin says how to open the content from a byte on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from neptune_exporter.errors import SourceError
from neptune_exporter.interruption import pause
from neptune_exporter.toolkit.pace import SlowError
from neptune_exporter.toolkit.retrying import Patience, TransientError

_PAUSE = 0.2
"""Seconds between attempts that each brought new bytes, to spare a server that cuts every answer."""
_WRONG_SIZES = 3
"""After this many complete answers of a wrong size the download fails: the page of a proxy would be gone."""
_RANGE = re.compile(r"\s*bytes\s+(?:(\d{1,19})-\d+|\*)/(\d{1,19}|\*)\s*", re.IGNORECASE)


class WrongSizeError(SourceError):
    """Each answer was complete, but had another size than the file.

    Examples:
        >>> raise WrongSizeError("the file has 4 bytes and the server sent 2")
        Traceback (most recent call last):
        neptune_exporter.toolkit.transfer.WrongSizeError: the file has 4 bytes and the server sent 2
    """


@dataclass(frozen=True)
class Body:
    """An answer that is being read.

    Examples:
        >>> body = Body.of_http(206, {"Content-Range": "bytes 2-3/4", "ETag": '"v1"'}, [b"23"])
        >>> body.offset, body.size, body.version
        (2, 4, '"v1"')
    """

    chunks: Iterable[bytes]
    """Raises TransientError where the connection breaks."""
    offset: int = 0
    """The byte at which it begins: not the one that was requested, if the server cannot resume."""
    size: int | None = None
    """Bytes of the whole content as this answer states; None if it does not."""
    version: str | None = None
    """A value that changes with the content (a strong ETag), None if unknown."""
    content_type: str = ""

    @classmethod
    def of_http(cls, status: int, headers: Mapping[str, str], chunks: Iterable[bytes]) -> Body:
        """From an HTTP answer: 200 or 206 with decoded chunks, or 416 if no bytes follow the requested one.

        Raises:
            TransientError: a 206 or 416 that does not say which bytes there are.
        """
        lowered = {name.lower(): value for name, value in headers.items()}
        tag = lowered.get("etag", "")
        version = tag if tag and not tag.startswith("W/") else None
        kind = lowered.get("content-type", "")
        if status in (206, 416):
            start, total = _range(lowered)
            if status == 206 and start is not None:
                return cls(chunks, start, total, version, kind)
            if status == 416 and total is not None:
                return cls((), total, total, version, kind)
            raise TransientError("the server sent a part of the file without saying which")
        return cls(chunks, 0, _length(lowered), version, kind)


def _range(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    """The first byte of a part, and the size of the whole; None for what the answer does not say."""
    match = _RANGE.fullmatch(headers.get("content-range", ""))
    if match is None:
        return None, None
    start, total = match.groups()
    return None if start is None else int(start), None if total == "*" else int(total)


def _length(headers: Mapping[str, str]) -> int | None:
    """The size of a whole content. That of an encoded one is another than that of its decoded chunks."""
    if headers.get("content-encoding", "identity").lower() != "identity":
        return None
    length = headers.get("content-length", "")
    return int(length) if re.fullmatch(r"[0-9]{1,19}", length) else None


class _Target(Protocol):
    """What `receive` writes to: an `OpenFile`, or what passes everything on to one."""

    @property
    def size(self) -> int: ...
    def write(self, data: bytes) -> None: ...
    def restart(self) -> None: ...


def receive(
    open_at: Callable[[int], AbstractContextManager[Body]],
    into: _Target,
    size: int | None = None,
    patience: Patience | None = None,
    *,
    least: int = 0,
) -> None:
    """Download a file completely, however often the connection breaks.

    Every new byte renews the patience, so that a large file arrives over a bad line. A server that sends
    nothing new, or sends too slowly, is given up.

    A complete answer of a wrong size is not the file; it may be the page of a proxy. It is discarded, and the
    download begins again, a few times.

    Args:
        open_at: Opens the content from a byte offset on; called again after every break.
            Raises TransientError if another attempt may succeed, any other error if it cannot.
        into: An open file, inside its `with` block.
        size: The size of the file in bytes, None if unknown. Each answer's own size is checked too.
        patience: For attempts that bring no new bytes.
        least: The least size in bytes, for a file whose size is unknown.

    Raises:
        TransientError: the patience is used up.
        WrongSizeError: each answer was complete and not of this size.

    Examples:
        >>> from contextlib import nullcontext
        >>> def open_at(offset):  # in a plugin: sends a request with `Range: bytes=<offset>-`
        ...     return nullcontext(Body([b"0123"[offset:]], offset, size=4))
        >>> with files.create(run.key, "model/weights", name="weights.pt") as file:
        ...     receive(open_at, file)
        >>> file.stored.size
        4
    """
    patience = patience or Patience()
    transfer = _Transfer(open_at, into, size, least)
    while not patience.call(transfer.advance):
        pause(_PAUSE)


@dataclass
class _Transfer:
    open_at: Callable[[int], AbstractContextManager[Body]]
    into: _Target
    size: int | None
    least: int
    wrong_sizes: int = 0
    furthest: int = 0
    version: str | None = None

    def advance(self) -> bool:
        """One attempt: True if the file is whole, False if it broke after something new came.

        Raises:
            TransientError: it broke, and nothing new came.
        """
        try:
            self._attempt()
        except TransientError as error:
            reached = self.into.size
            if reached > self.furthest and error.wait is None and not isinstance(error, SlowError):
                self.furthest = reached
                return False
            raise
        return True

    def _attempt(self) -> None:
        into, asked = self.into, self.into.size
        if asked and asked == self.size:
            return  # it broke after the last byte
        with self.open_at(asked) as body:
            other = asked > 0 and None not in (body.version, self.version) and body.version != self.version
            if body.offset != asked or other:
                into.restart()
                if body.offset:
                    raise TransientError(
                        "the file changed while it was downloaded; the download starts again"
                    )
            self.version = body.version
            for chunk in body.chunks:
                into.write(chunk)
            self._check(body.size)

    def _check(self, stated: int | None) -> None:
        got = self.into.size
        if stated is not None and got < stated:
            raise TransientError(f"the connection ended after {got} of {stated} bytes")
        expected = stated if self.size is None else self.size
        if got >= self.least and expected in (None, got):
            return
        # Nothing of it may stay: what comes next would be appended to it.
        self.into.restart()
        self.wrong_sizes += 1
        right = f"at least {self.least}" if expected in (None, got) else str(expected)
        message = f"the file has {right} bytes and the server sent {got}"
        raise (WrongSizeError if self.wrong_sizes >= _WRONG_SIZES else TransientError)(message)
