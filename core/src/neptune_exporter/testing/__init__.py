"""The testing kit: what plugin authors build against and are judged by.

- Sample data: `SampleRun` and its builders, `sample_runs()` (the corpus), `strategies`.
- Doubles: `MemorySource`, `MemorySink`, `MemoryRun`, `MemoryFiles`.
- Conformance: `SourceConformance`, `SinkConformance`, `ReporterConformance` (these need
  the extra `testing`).
- `CommandLine`: runs `neptune-exporter` in processes that may be killed at a failpoint.
- `loopback`: a server on 127.0.0.1 that protocol servers are built on.

Names are imported when they are first used: a protocol server needs no pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neptune_exporter.testing.commands import CommandLine, Done
    from neptune_exporter.testing.corpus import THEMES, sample_runs, themed_runs
    from neptune_exporter.testing.exported import MemoryRun
    from neptune_exporter.testing.facts import (
        Fact,
        difference,
        facts_of_batch,
        facts_of_exported,
        facts_of_rows,
        facts_of_run,
    )
    from neptune_exporter.testing.files import MemoryFiles
    from neptune_exporter.testing.loaded import LoadedEntry, LoadedSample
    from neptune_exporter.testing.memory_sink import MemorySink, MemoryTarget, memory_sink_spec
    from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
    from neptune_exporter.testing.reporters import ReporterConformance
    from neptune_exporter.testing.runs import (
        Entry,
        SampleAttribute,
        SampleFile,
        SampleHistogram,
        SampleRun,
        artifact,
        canonical_step,
        file,
        file_series,
        file_set,
        float_series,
        histogram_series,
        parameter,
        string_series,
        without_times,
    )
    from neptune_exporter.testing.sinks import ReadBack, SinkConformance, SinkFactory, load_runs
    from neptune_exporter.testing.sources import SourceConformance

__all__ = [
    "THEMES",
    "CommandLine",
    "Done",
    "Entry",
    "Fact",
    "LoadedEntry",
    "LoadedSample",
    "MemoryFiles",
    "MemoryRun",
    "MemorySink",
    "MemorySource",
    "MemoryTarget",
    "ReadBack",
    "ReporterConformance",
    "SampleAttribute",
    "SampleFile",
    "SampleHistogram",
    "SampleRun",
    "SinkConformance",
    "SinkFactory",
    "SourceConformance",
    "artifact",
    "canonical_step",
    "difference",
    "facts_of_batch",
    "facts_of_exported",
    "facts_of_rows",
    "facts_of_run",
    "file",
    "file_series",
    "file_set",
    "float_series",
    "histogram_series",
    "load_runs",
    "memory_sink_spec",
    "memory_source_spec",
    "parameter",
    "sample_runs",
    "string_series",
    "themed_runs",
    "without_times",
]

_MODULES = (
    "runs",
    "corpus",
    "files",
    "loaded",
    "exported",
    "facts",
    "memory_source",
    "memory_sink",
    "commands",
    "reporters",
    "sources",
    "sinks",
)
"""Where the names are; those that need pytest come last."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module_name in _MODULES:
            module = import_module(f"{__name__}.{module_name}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
