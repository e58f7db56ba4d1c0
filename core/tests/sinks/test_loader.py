"""The base of loaders: what a target ends with, and what a comparison says of it."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from neptune_exporter.contract import LoadOptions, ParameterValue, SinkCapabilities, Verdict
from neptune_exporter.model import RunKey
from neptune_exporter.sinks.comparing import Held
from neptune_exporter.sinks.found import Found
from neptune_exporter.sinks.loader import Loader
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.received import FileToSend
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import (
    SampleHistogram,
    SampleRun,
    file,
    float_series,
    histogram_series,
    parameter,
    string_series,
)

KEY = RunKey("acme/vision", "RUN-1")
SECONDS = 30.0


@dataclass
class Kept:
    """A run in the target."""

    mark: str
    begun: int
    record: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    points: dict[str, list[Points]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


class DictLoader(Loader):
    """Args:
    target: Run by id, shared by loads.
    begun: By which runs are listed.
    """

    capabilities = SinkCapabilities(lowest_step=0, verifies=True)

    def __init__(self, target: dict[str, Kept], begun: int = 0) -> None:
        super().__init__(LoadOptions())
        self.target, self.begun = target, begun
        self.before_begin: Callable[[], object] = lambda: None
        self.before_end: Callable[[], object] = lambda: None
        self.opened: list[str] = []

    def find(self, mark: str) -> Sequence[Found]:
        found = sorted((run.begun, target_id) for target_id, run in self.target.items() if run.mark == mark)
        return [Found(target_id, self.target[target_id].record) for _, target_id in found]

    def discard(self, target_id: str) -> None:
        self.target.pop(target_id, None)

    def begin(self, run: RunMetadata) -> str:
        self.before_begin()
        self.target[f"begun-{self.begun}"] = Kept(run.mark, self.begun)
        return f"begun-{self.begun}"

    def parameters(self, target_id: str, values: Mapping[str, ParameterValue]) -> None:
        self.target[target_id].parameters |= values

    def points(self, target_id: str, names: Sequence[str], points: Points) -> None:
        for number in set(points.series.tolist()):
            kept = self.target[target_id].points.setdefault(names[number], [])
            kept.append(points[points.series == number])

    def file(self, target_id: str, file: FileToSend) -> None:
        with file.open() as opened:
            self.target[target_id].files[file.unique_name] = opened.read()

    def finish(self, target_id: str, run: RunMetadata, record: str) -> None:
        self.before_end()
        self.replace_record(target_id, record)

    def replace_record(self, target_id: str, record: str) -> None:
        self.target[target_id].record = record

    def read_back(self, target_id: str) -> Held:
        run = self.target[target_id]

        def opened(file: FileToSend) -> BinaryIO | None:
            self.opened.append(file.unique_name)
            return io.BytesIO(run.files[file.unique_name]) if file.unique_name in run.files else None

        sizes = {name: len(content) for name, content in run.files.items()}
        return Held(run.parameters, lambda name: run.points.get(name, []), file=opened, sizes=sizes)


def test_loads_that_do_not_see_each_other_in_time_end_with_one_run() -> None:
    """The second begins after the first has looked for others, and yet is listed before it."""
    target: dict[str, Kept] = {}
    first, second = DictLoader(target, begun=2), DictLoader(target, begun=1)
    looked, may_look, ended = threading.Event(), threading.Event(), threading.Event()
    waited: list[bool] = []

    def before_begin() -> None:  # it has found nothing
        may_look.set()
        waited.append(looked.wait(SECONDS))

    def before_end() -> None:  # it has found nobody else
        looked.set()
        waited.append(ended.wait(SECONDS))

    second.before_begin, first.before_end = before_begin, before_end
    run = MemoryRun(SampleRun(KEY, (parameter("lr", 0.1),)))
    slow = threading.Thread(target=lambda: (second.load(run, None), ended.set()))
    slow.start()
    waited.append(may_look.wait(SECONDS))
    loaded = first.load(run, None)
    slow.join(SECONDS)
    assert waited == [True] * 3
    assert list(target) == ["begun-1"] == [loaded.target_id]
    assert all(c.verdict is Verdict.EQUAL for c in first.verify(run, full=True))


ALL_KINDS = SampleRun(
    KEY,
    (
        parameter("lr", 0.1),
        float_series("loss", [(0, 1.0)]),
        float_series("below zero", [(-1, 1.0)]),
        string_series("notes", [(0, "one"), (1, "two")]),
        histogram_series("weights", [(0, SampleHistogram((0.0, 1.0), (3.0,)))]),
        file("model", b"weights", ".bin"),
    ),
)


def test_a_comparison_names_every_attribute() -> None:
    """Those in one file with others too, and those of which nothing could be sent."""
    loader = DictLoader({})
    loader.load(MemoryRun(ALL_KINDS), None)
    found = {c.item: (c.verdict, c.expected) for c in loader.verify(MemoryRun(ALL_KINDS), full=True)}
    assert found["entries of notes"] == (Verdict.EQUAL, "2")
    assert found["entries of weights"] == (Verdict.EQUAL, "1")
    assert found["below zero"] == (Verdict.LOST, "1")
    assert {verdict for verdict, _ in found.values()} == {Verdict.EQUAL, Verdict.LOST}


def test_no_file_is_opened_whose_size_says_enough() -> None:
    loader = DictLoader({})
    loader.load(MemoryRun(ALL_KINDS), None)
    run = MemoryRun(ALL_KINDS)
    assert not [c for c in loader.verify(run) if c.verdict not in (Verdict.EQUAL, Verdict.LOST)]
    assert not loader.opened
    (kept,) = loader.target.values()
    kept.files["neptune/texts.jsonl"] += b"x"
    different = {c.item for c in loader.verify(run) if c.verdict is Verdict.DIFFERENT}
    assert different == {"files of neptune/texts.jsonl", "entries of notes"}
