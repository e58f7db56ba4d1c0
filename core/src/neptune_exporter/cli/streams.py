"""Prepares stdout and stderr: an encoding, a disk or a reader that fails must not end the work."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Any

_ESCAPED = "neptune_exporter.escaped"


def prepare_streams() -> None:
    """Make stdout and stderr take every text. A closed stream counts as one without a reader.

    Once for the process: a stream that is replaced closes what is below it.
    """
    codecs.register_error(_ESCAPED, _escaped)
    _fill_closed()
    for name, kind in (("stdout", _Results), ("stderr", _Stream)):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream.buffer, _Stream):
            setattr(sys, name, _rebuilt(stream, kind))


def _fill_closed() -> None:
    """Open closed streams again, in order of their numbers. Otherwise a data file would get the number, and
    with it what libraries print."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)  # Python keeps the original here, too


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """`\\u00e9` for what an encoding lacks: JSON has no escape like Python's own `\\xe9`."""
    import json

    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _rebuilt(stream: io.TextIOWrapper, kind: type[_Stream]) -> io.TextIOWrapper:
    buffer: Any = stream.buffer
    return io.TextIOWrapper(
        kind(getattr(buffer, "raw", buffer)),  # unbuffered, it is the raw one itself
        encoding=stream.encoding,
        errors=_ESCAPED,
        newline=None if os.name == "nt" else "\n",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Stream(io.BufferedWriter):
    """A stream for messages: an error in writing them must not end the job. After one it leads nowhere, so
    that the end of the process does not try again."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self._failed(error)
            return len(data)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


class _Results(_Stream):
    """For the result of a command: if it cannot be written, the command has failed."""

    def _failed(self, error: OSError) -> None:
        from neptune_exporter.errors import NeptuneExporterError

        super()._failed(error)
        if isinstance(error, BrokenPipeError):
            raise error
        raise NeptuneExporterError(f"the output cannot be written: {error.strerror}") from error
