"""The built-in reporters. They register through the same hooks as those of any plugin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from neptune_exporter.contract.reporter import Reporter
from neptune_exporter.contract.specs import ReporterSpec
from neptune_exporter.hookspecs import hookimpl


def _text(settings: Any) -> Reporter:
    from neptune_exporter.reporters.text import TextReporter

    return TextReporter()


def _json(settings: Any) -> Reporter:
    from neptune_exporter.reporters.json import JsonReporter

    return JsonReporter()


def _html(settings: Any) -> Reporter:
    from neptune_exporter.reporters.html import HtmlReporter

    return HtmlReporter()


@hookimpl
def neptune_exporter_reporters() -> Iterable[ReporterSpec]:
    """The reporters that need no plugin."""
    return [
        ReporterSpec("text", "Tables for people.", _text),
        ReporterSpec("json", "One JSON document, for machines.", _json),
        ReporterSpec("html", "One page to keep beside an archive.", _html),
    ]
