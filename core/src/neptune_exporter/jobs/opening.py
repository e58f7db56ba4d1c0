"""How units of work open their source or sink: small values that can be pickled and compared.

Credentials are in the settings. A `Secret` can be pickled, and is remembered for redaction where it is
unpickled; neither these values nor anything made of their reprs shows one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from neptune_exporter.contract import LoadOptions, Sink, Source
from neptune_exporter.contract.specs import SinkSpec, SourceSpec
from neptune_exporter.dataset import Dataset, RunChecker
from neptune_exporter.location import Location


@dataclass(frozen=True)
class OpenSource:
    """Makes the source of a plugin with these settings."""

    plugin: str
    settings: object = field(repr=False)

    def open(self) -> Source:
        from neptune_exporter.plugins import PluginRegistry

        return PluginRegistry.discover().select(SourceSpec, self.plugin).factory(self.settings)


@dataclass(frozen=True)
class OpenSink:
    """Makes the sink of a plugin with these settings."""

    plugin: str
    settings: object = field(repr=False)
    options: LoadOptions

    def open(self) -> Sink:
        from neptune_exporter.plugins import PluginRegistry

        return PluginRegistry.discover().select(SinkSpec, self.plugin).factory(self.settings, self.options)


@dataclass(frozen=True)
class OpenChecker:
    """Makes what checks the runs of a dataset. It ends with the job, as the dataset may change after that."""

    data_path: Location
    files_path: Location

    def open(self) -> RunChecker:
        return RunChecker(dataset_of(self.data_path, self.files_path))


def with_whole_paths(settings: Any) -> Any:
    """Settings whose paths mean the same in every working folder."""
    if not is_dataclass(settings) or isinstance(settings, type):
        return settings
    paths = {each.name: getattr(settings, each.name) for each in fields(settings)}
    return replace(settings, **{n: path.absolute() for n, path in paths.items() if isinstance(path, Path)})


_shared: dict[tuple[Location, Location], Dataset] = {}


@contextlib.contextmanager
def shared(data_path: Location, files_path: Location, dataset: Dataset) -> Iterator[None]:
    """Let the units that run in this process use the dataset that their job has locked."""
    _shared[data_path, files_path] = dataset
    try:
        yield
    finally:
        del _shared[data_path, files_path]


def dataset_of(data_path: Location, files_path: Location) -> Dataset:
    """One per process, so that all its units share one budget of memory."""
    return _shared.get((data_path, files_path)) or _dataset_of(data_path, files_path)


@lru_cache(maxsize=1)
def _dataset_of(data_path: Location, files_path: Location) -> Dataset:
    return Dataset(data_path, files_path)
