"""The examples in docstrings run, and everything that docs/reference.md publishes has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest

import neptune_exporter
from neptune_exporter import contract, model, schema, toolkit
from neptune_exporter.dataset import Dataset
from neptune_exporter.dataset.check.summary import summarise
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.location import Location
from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter.reading.opened import ExportedDataset
from neptune_exporter.testing.files import MemoryFiles
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import (
    SampleAttribute,
    SampleHistogram,
    SampleRun,
    file,
    float_series,
    histogram_series,
    parameter,
    string_series,
)

ROOT = Path(__file__).parents[1]
PUBLISHED = re.findall(r"^::: (\S+)$", (ROOT / "docs/reference.md").read_text(), re.MULTILINE)


def modules_with_examples() -> Iterator[str]:
    for source in (ROOT / "core/src", *sorted((ROOT / "plugins").glob("*/src"))):
        for path in sorted(source.rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                parts = path.relative_to(source).with_suffix("").parts
                yield ".".join(part for part in parts if part != "__init__")


def published(of: Any) -> Iterator[tuple[str, object]]:
    """What a line of the reference stands for: all that is public in a module, or one class."""
    if not inspect.ismodule(of):
        yield of.__name__, of
        return
    for name, value in vars(of).items():
        is_own = getattr(value, "__module__", None) == of.__name__
        if is_own and not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value)):
            yield name, value


def without_example(members: Iterator[tuple[str, object]]) -> list[str]:
    return [name for name, value in members if ">>> " not in (value.__doc__ or "")]


@pytest.mark.parametrize("name", PUBLISHED)
def test_all_that_the_reference_publishes_has_an_example(name: str) -> None:
    members = list(published(pkgutil.resolve_name(name)))
    assert members
    assert without_example(iter(members)) == []


def test_every_method_of_an_open_dataset_has_an_example() -> None:
    methods = ((name, value) for name, value in vars(ExportedDataset).items() if not name.startswith("_"))
    assert without_example(methods) == []


def sample(run_id: str, *attributes: SampleAttribute) -> SampleRun:
    return SampleRun(RunKey("acme/vision", run_id), attributes)


RUNS = (
    sample(
        "RUN-1",
        parameter(SysAttribute.NAME, "baseline"),
        parameter("config/lr", 0.1),
        parameter("config/optimizer", "Adam"),
        float_series("train/loss", [(0, 0.9), (1, 0.5), (2, 0.4)]),
        string_series("logs/stdout", [(0, "epoch 0"), (1, "epoch 1")]),
        histogram_series("gradients", [(0, SampleHistogram((0.0, 1.0, 2.0), (3.0, 4.0)))]),
        file("model/weights", b"0123", "weights.pt"),
    ),
    sample(
        "RUN-2",
        parameter(SysAttribute.NAME, "smaller rate"),
        parameter(SysAttribute.FORK_PARENT, "RUN-1"),
        parameter(SysAttribute.FORK_STEP, 1.0),
        parameter("config/lr", 0.01),
        float_series("train/loss", [(2, 0.3), (3, 0.2)]),
    ),
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `exports` holds the sample runs."""
    folder = tmp_path_factory.mktemp("examples")
    options = ExportOptions((), folder / "exports/data", folder / "exports/files")
    assert export_runs(memory_source_spec(MemorySource(RUNS)), None, options, Progress()).complete
    return folder


@pytest.fixture
def names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the examples may use without a word, as docs/reference.md says."""
    monkeypatch.chdir(folder)
    data, files = Location.of("exports/data"), Location.of("exports/files")
    dataset = neptune_exporter.open_dataset("exports")
    imported = {
        name: value
        for each in (contract, toolkit, model, schema)
        for name, value in vars(each).items()
        if name[0] != "_" and not isinstance(value, ModuleType)
    }
    return {
        **imported,
        "dataset": dataset,
        "files": MemoryFiles(),
        "neptune_exporter": neptune_exporter,
        "pa": pa,
        "run": dataset.run(RUNS[0].key),
        "summary": summarise(Dataset(data, files)),
    }


@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_the_examples_run(name: str, names: dict[str, Any]) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(importlib.import_module(name), extraglobs=names, optionflags=flags)
    assert result.attempted
    assert result.failed == 0, "the captured output shows each"
