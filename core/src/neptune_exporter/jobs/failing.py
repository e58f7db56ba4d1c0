"""The one line about a run that failed, also for unexpected errors."""

from __future__ import annotations

import logging

from neptune_exporter.contract import NeptuneExporterError
from neptune_exporter.redaction import redact
from neptune_exporter.system_errors import system_error

_log = logging.getLogger(__name__)


def why_failed(what: object, error: Exception) -> str:
    """One line for a person, who is told before what it is about: an error that begins with that as well
    does not say it twice. The traceback of an unexpected error goes to the log."""
    if isinstance(error, NeptuneExporterError):
        return str(error).removeprefix(f"{what}: ")
    if (known := system_error(error)) is not None:
        return known
    return f"{internal_error(what, error)} (run with -v for the traceback)"


def internal_error(what: object, error: Exception) -> str:
    """One line for an unexpected error. The log gets its traceback, and what it is about."""
    if (known := system_error(error)) is not None:
        return redact(known)
    _log.info("%s: internal error", what, exc_info=error)
    return redact(" ".join(f"internal error: {type(error).__name__}: {error}".split()))
