"""A command line with a tracker of its own: the perfect source and sink, behind a real plugin."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from neptune_exporter.cli.app import app

TRACKER = """
import os, time
from dataclasses import dataclass, replace
from pathlib import Path
from neptune_exporter.contract import *
from neptune_exporter.testing.memory_sink import MemorySink, MemoryTarget
from neptune_exporter.testing.memory_source import MemorySource
from neptune_exporter.testing.runs import SampleRun, file, float_series, parameter
from neptune_exporter.model import AttributeClass, RunKey, RunKind


def a_run(run_id, project="acme/vision", kind=RunKind.RUN):
    return SampleRun(
        RunKey(project, run_id, kind),
        (
            parameter("sys/name", "name of " + run_id),
            parameter("lr", 0.1),
            float_series("train/loss", [(n, 1 / (n + 1)) for n in range(10)]),
            file("model", b"weights", "model.bin"),
        ),
    )


source = MemorySource([a_run("RUN-1"), a_run("RUN-10"), a_run("EXP-2", "acme/text")])
target = MemoryTarget()
sink = MemorySink(target=target)
capabilities = MemorySource.CAPABILITIES
only_parameters = SourceCapabilities(classes=frozenset({AttributeClass.PARAMETERS}))
made = []


@dataclass(frozen=True)
class SourceSettings:
    token: Secret | None = setting(
        default=None, help="The token.", flag="--api-token", env=("TRACKER_TOKEN",)
    )
    page: int = setting(default=100, help="Runs a page.", minimum=1)
    hang: Path | None = setting(default=None, help="Write the process id there and wait.")


@dataclass(frozen=True)
class SinkSettings:
    api_key: Secret | None = setting(default=None, help="The key.", env=("TRACKER_KEY",))
    rehearse: bool = setting(default=False, help="Only rehearse.")


def make_source(settings):
    made.append(settings)
    if settings.hang is not None:
        told = f"{os.getpid()} {settings.token.reveal() if settings.token else ''}"
        settings.hang.with_suffix(".new").write_text(told)
        settings.hang.with_suffix(".new").replace(settings.hang)
        for _ in range(300):
            time.sleep(0.1)  # short: a signal that comes just before a sleep does not end it
    return source


def make_sink(settings, options):
    made.append((settings, options))
    sink.options = options
    return sink


@hookimpl
def neptune_exporter_sources():
    return [
        SourceSpec("tracker", "Sample runs.", make_source, SourceSettings, capabilities),
        SourceSpec("plain", "Can do nothing special.", make_source, SourceSettings, only_parameters),
    ]


@hookimpl
def neptune_exporter_sinks():
    return [SinkSpec("tracker", "Memory.", make_sink, SinkSettings, MemorySink.CAPABILITIES)]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands run: empty, with no settings from this machine."""
    import platformdirs

    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: str(tmp_path / "user"))
    for variable in ("NEPTUNE_PROJECT", "TRACKER_TOKEN", "TRACKER_KEY"):
        monkeypatch.delenv(variable, raising=False)
    return here


@pytest.fixture
def tracker(distributions: Any, folder: Path) -> ModuleType:
    """The installed plugin: `tracker.source` and `tracker.sink` can be told to fail."""
    return importlib.import_module(distributions.add("acme-tracker", TRACKER, version="1.2"))


@pytest.fixture
def run(folder: Path, distributions: Any) -> Callable[..., Result]:
    """Runs a command line in this process; whatever it raised beyond its exit is raised here."""

    def invoke(*arguments: str, input: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=input, catch_exceptions=False)

    return invoke
