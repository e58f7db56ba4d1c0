"""What the exit code says, and how an error becomes one line and a code."""

from __future__ import annotations

from enum import IntEnum

import click

from neptune_exporter.redaction import one_line, printable, redact


class ExitCode(IntEnum):
    """The exit codes of every command."""

    COMPLETE = 0
    FAILURE = 1
    USAGE = 2
    PARTIAL = 3
    """Some things failed, or the target could not hold them. They are listed."""
    MISMATCH = 4
    """A verification found a difference."""
    INTERRUPTED = 130


def report_error(error: BaseException, *, verbose: bool) -> ExitCode:
    """Print one line on stderr that says what went wrong, after a traceback if verbose."""
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        click.echo("interrupted; run the same command again to go on", err=True)
        return ExitCode.INTERRUPTED
    if verbose and not isinstance(error, click.UsageError):
        import traceback

        for line in redact("".join(traceback.format_exception(error))).splitlines():
            click.echo(printable(line), err=True)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    message, code = _message(error)
    click.echo(f"error: {one_line(message)}", err=True)
    return code


def _message(error: BaseException) -> tuple[str, ExitCode]:
    from neptune_exporter.errors import NeptuneExporterError  # not for a mere --help
    from neptune_exporter.system_errors import system_error

    if isinstance(error, NeptuneExporterError):
        return str(error), ExitCode(error.exit_code)
    if isinstance(error, click.ClickException):
        return error.format_message(), ExitCode.USAGE
    if isinstance(error, ModuleNotFoundError):
        missing = error.name or "unknown"
        return (
            f"the module {missing} is not installed: install the plugin that needs it again",
            ExitCode.FAILURE,
        )
    if (known := system_error(error)) is not None:
        return known, ExitCode.FAILURE
    text = f"internal error: {type(error).__name__}: {error} (run with -v for the traceback)"
    return text, ExitCode.FAILURE
