"""Where log lines go. Whoever writes them, through whichever handler: only text, and no credentials."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neptune_exporter.errors import UsageError
from neptune_exporter.redaction import printable, redact

NOTICE = logging.INFO + 5
"""The level of lines that a person should read although nothing is wrong."""
logging.addLevelName(NOTICE, "NOTICE")

_OWN = "neptune_exporter"
"""How the names of our loggers begin. Each of their messages is one line."""


class _RedactedRecord(logging.LogRecord):
    """A record without credentials. Handlers cannot remove them: clients install their own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info[1] is not None:
            # Formatters use this text if it exists.
            self.exc_text = _shown("".join(traceback.format_exception(*self.exc_info)).rstrip())
        if self.stack_info:
            self.stack_info = _shown(self.stack_info)

    def getMessage(self) -> str:  # noqa: N802 - the name in logging
        text = super().getMessage()
        return printable(redact(text)) if self.name.startswith(_OWN) else _shown(text)


def _shown(text: str) -> str:
    """A text of several lines."""
    return "\n".join(map(printable, redact(text).split("\n")))


class _Console(logging.Handler):
    """Writes to `sys.stderr` as it is at that moment, because a live progress bar replaces it."""

    def emit(self, record: logging.LogRecord) -> None:
        plain = record.levelno < logging.WARNING and not record.exc_info
        sys.stderr.write((record.getMessage() if plain else self.format(record)) + "\n")
        sys.stderr.flush()


class _File(logging.FileHandler):
    """A log file. If it cannot be written, one line says so and logging to it ends, but not the job."""

    _failed = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._failed:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name in logging
        self._give_up(sys.exc_info()[1])

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: BaseException | None) -> None:
        if self._failed:
            return
        self._failed = True
        reason = getattr(error, "strerror", None) or error
        sys.stderr.write(f"WARNING --log-file: {printable(self.baseFilename)} cannot be written: {reason}\n")


def _is_for_people(record: logging.LogRecord) -> bool:
    """What this program logs, and warnings of libraries."""
    return record.name.startswith(_OWN) or record.levelno >= logging.WARNING


@contextmanager
def logging_to(log_file: Path | None, verbose: int) -> Iterator[None]:
    """Log to stderr and the file, if one is given. Raises UsageError if the file cannot be written.

    Stderr gets notices and warnings; with -v also what this program does; with -vv also what libraries log.
    The file gets one level more than stderr, but libraries' lines also only with -vv.
    """
    handlers: list[logging.Handler] = [_console(verbose)]
    if log_file is not None:
        handlers.append(_file(log_file, verbose))
    root, factory = logging.getLogger(), logging.getLogRecordFactory()
    level = root.level
    logging.setLogRecordFactory(_RedactedRecord)
    logging.captureWarnings(True)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(min(handler.level for handler in handlers))
    try:
        yield
    finally:
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
        logging.captureWarnings(False)
        logging.setLogRecordFactory(factory)


def _console(verbose: int) -> logging.Handler:
    handler = _Console(logging.DEBUG if verbose > 1 else logging.INFO if verbose else NOTICE)
    if verbose < 2:
        handler.addFilter(_is_for_people)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    return handler


def _file(path: Path, verbose: int) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _File(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"--log-file: {path} cannot be written: {error.strerror}") from error
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.setLevel(logging.DEBUG if verbose else logging.INFO)
    if verbose < 2:
        handler.addFilter(_is_for_people)
    return handler
