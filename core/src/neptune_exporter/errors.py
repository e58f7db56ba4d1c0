"""The errors that end something, each with the one line that a person reads.

What costs only one attribute is not an error but a value: see `failures`.
"""

from __future__ import annotations


class NeptuneExporterError(Exception):
    """Anything this system says to a person: what happened, to what, and what to do."""

    exit_code = 1


class UsageError(NeptuneExporterError):
    """A wrong or missing option, variable or setting. Says what would be right."""

    exit_code = 2


class AuthenticationError(NeptuneExporterError):
    """The server refused the credentials. Ends the job at once: no retry can help."""


class SourceError(NeptuneExporterError):
    """A source cannot list or read something as a whole (a project, a group of runs)."""

    attempts: int = 1
    """How often it was tried; 0: not at all, as much of its kind had failed in a row."""


class QueryError(SourceError):
    """The source refused the query that a person gave (`RunSelection.query`). Says what is wrong with it."""


class SinkError(NeptuneExporterError):
    """A sink could not take a run. The run counts as failed; other runs go on."""


class DatasetError(NeptuneExporterError):
    """The dataset on disk is locked, damaged or not what it should be."""


class MissingFileError(DatasetError):
    """A file that a row names is not in the files folder."""


class UnsafePathError(DatasetError):
    """A row names a path that leaves the files folder. It is never opened."""


class MissingDependencyError(NeptuneExporterError):
    """A plugin's SDK is not installed. Says what to install."""
