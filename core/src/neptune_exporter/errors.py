"""The errors that end a job or one run of it. Their text is the one line that a person reads.

A failure of one attribute is not raised; it is a value, see `neptune_exporter.contract.failures`.
"""

from __future__ import annotations


class NeptuneExporterError(Exception):
    """An error for a person. Its text says what happened, to which run or attribute, and what to do.

    Examples:
        >>> def warn_of(error: NeptuneExporterError) -> str:
        ...     return f"{type(error).__name__}, exit code {error.exit_code}: {error}"
        >>> warn_of(UsageError("--acme-batch is 0: give at least 1"))
        'UsageError, exit code 2: --acme-batch is 0: give at least 1'
    """

    exit_code = 1


class UsageError(NeptuneExporterError):
    """A wrong or missing option, variable or setting. Says what would be right.

    Examples:
        >>> raise UsageError("--acme-url has no host: give https://HOST")
        Traceback (most recent call last):
        neptune_exporter.errors.UsageError: --acme-url has no host: give https://HOST
    """

    exit_code = 2


class AuthenticationError(NeptuneExporterError):
    """The server refused the credentials. Ends the job at once: no retry can help.

    Examples:
        >>> raise AuthenticationError("the API token was refused: name a valid one in ACME_KEY")
        Traceback (most recent call last):
        neptune_exporter.errors.AuthenticationError: the API token was refused: name a valid one in ACME_KEY
    """


class SourceError(NeptuneExporterError):
    """A source cannot list or read something as a whole (a project, a group of runs).

    Examples:
        >>> raise SourceError("acme/vision: there is no such project: check the name after -p")
        Traceback (most recent call last):
        neptune_exporter.errors.SourceError: acme/vision: there is no such project: check the name after -p
    """

    attempts: int = 1
    """How often it was tried. 0: it was not, because many of its kind had failed in a row."""


class UnknownProjectError(SourceError):
    """The source knows that it has no such project. Says which it has, or where the name comes from.

    Examples:
        >>> raise UnknownProjectError("there is no project acme/vison, only acme/vision")
        Traceback (most recent call last):
        neptune_exporter.errors.UnknownProjectError: there is no project acme/vison, only acme/vision
    """


class QueryError(SourceError):
    """The source refused the query that a person gave (`RunSelection.query`). Says what is wrong with it.

    Examples:
        >>> raise QueryError("--runs-query: unknown field ownr; did you mean owner?")
        Traceback (most recent call last):
        neptune_exporter.errors.QueryError: --runs-query: unknown field ownr; did you mean owner?
    """


class SinkError(NeptuneExporterError):
    """A sink could not take a run. The run counts as failed; other runs go on.

    Examples:
        >>> raise SinkError("acme/vision:RUN-1: train/loss was refused (HTTP 507): free its disk")
        Traceback (most recent call last):
        neptune_exporter.errors.SinkError: acme/vision:RUN-1: train/loss was refused (HTTP 507): free its disk
    """


class DatasetError(NeptuneExporterError):
    """The dataset on disk is locked, damaged or not what it should be.

    Examples:
        >>> raise DatasetError("RUN-1_part_0.parquet is cut short: export its run again")
        Traceback (most recent call last):
        neptune_exporter.errors.DatasetError: RUN-1_part_0.parquet is cut short: export its run again
    """


class NewerVersionError(NeptuneExporterError):
    """A newer neptune-exporter wrote a run of the dataset: it is not damaged, and stays as it is.

    Examples:
        >>> raise NewerVersionError("acme/vision:RUN-1: of a newer version: upgrade")
        Traceback (most recent call last):
        neptune_exporter.errors.NewerVersionError: acme/vision:RUN-1: of a newer version: upgrade
    """


class BusyRunError(DatasetError):
    """Another process is writing the run. Only this run fails; the job goes on with the others.

    Examples:
        >>> raise BusyRunError("acme/vision:RUN-1: another process is writing it: export again")
        Traceback (most recent call last):
        neptune_exporter.errors.BusyRunError: acme/vision:RUN-1: another process is writing it: export again
    """


class MissingFileError(DatasetError):
    """A file that a row names is not in the files folder.

    Examples:
        >>> try:
        ...     run.open_file("RUN-1/gone.png")
        ... except MissingFileError as error:
        ...     loss = Loss(run.key, "file-missing", str(error), 1, "val/sample")
        >>> loss.count
        1
    """


class UnsafePathError(DatasetError):
    """A row names a path that leaves the files folder. It is never opened.

    Examples:
        >>> try:
        ...     run.open_file("../../etc/passwd")
        ... except UnsafePathError as error:
        ...     loss = Loss(run.key, "file-unsafe", str(error), 1, "val/sample")
        >>> loss.count
        1
    """


class MissingDependencyError(NeptuneExporterError):
    """A plugin's SDK is not installed. Says what to install.

    Examples:
        >>> raise MissingDependencyError("the Acme SDK is not installed: pip install acme")
        Traceback (most recent call last):
        neptune_exporter.errors.MissingDependencyError: the Acme SDK is not installed: pip install acme
    """
