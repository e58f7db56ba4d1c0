"""The built-in reporters. They register through the same hooks as those of any plugin."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable
from typing import Any

from neptune_exporter.contract.reporter import Reporter
from neptune_exporter.contract.specs import ReporterSpec
from neptune_exporter.hookspecs import hookimpl


def _factory(name: str) -> Callable[[Any], Reporter]:
    """Makes a reporter, whose module is imported only then."""
    return lambda settings: pkgutil.resolve_name(f"{__name__}.{name}")()


@hookimpl
def neptune_exporter_reporters() -> Iterable[ReporterSpec]:
    """The reporters that need no plugin."""
    return [
        ReporterSpec("text", "Tables for people.", _factory("text:TextReporter")),
        ReporterSpec("json", "One JSON document, for machines.", _factory("json:JsonReporter")),
        ReporterSpec("html", "One page to keep beside an archive.", _factory("html:HtmlReporter")),
    ]
