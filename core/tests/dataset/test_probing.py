"""Parts of other tools are read by a child process first; what ends that is damaged, and not opened here.

The damage that pyarrow dies of is not here: a failpoint ends the child in its place.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset import Dataset, Finding, StoredRun, record, summarise, verify
from neptune_exporter.dataset.read import parts, probe, probing
from neptune_exporter.dataset.read.probing import Probed, _Ended, probed
from neptune_exporter.jobs.load_run import check_parts
from neptune_exporter.toolkit.failpoints import SIGNAL_VARIABLE, VARIABLE


def runs_by_id(dataset: Dataset) -> dict[str, StoredRun]:
    return {run.key.run_id: run for run in dataset.runs()}


@pytest.fixture
def deadly(existing: Dataset, monkeypatch: pytest.MonkeyPatch) -> str:
    """A part that ends whoever reads it."""
    run = next(run for run in existing.runs() if len(run.listed.part_names) > 2)
    path = run.part_paths[1]
    monkeypatch.setenv(VARIABLE, f"probe.{path}")
    monkeypatch.setenv(SIGNAL_VARIABLE, "SIGABRT")  # as pyarrow ends it
    return path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts that this process opened."""
    seen: list[str] = []
    plain = parts.Storage.open_input

    def open_input(self: parts.Storage, path: str) -> object:
        seen.append(path)
        return plain(self, path)

    monkeypatch.setattr(parts.Storage, "open_input", open_input)
    return seen


def test_it_imports_only_what_reads_parts() -> None:
    code = "import sys, neptune_exporter.dataset.read.probe; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "neptune_exporter.dataset.read.facts" in imported
    unused = ("write", "check", "dataset", "read.stored_run")
    assert imported.isdisjoint({"pyarrow.compute", *(f"neptune_exporter.dataset.{name}" for name in unused)})


def test_attributes_are_not_sent_again(existing: Dataset) -> None:
    paths = [path for run in existing.runs() for path in run.part_paths]
    several = [[path, path, path] for path in paths]
    for request in [*several, paths, [*paths, "lost", *reversed(paths)]]:
        told = probe.answers(existing.data, request, decode=True)
        line = probe.packed(copy.deepcopy(told)).encode()
        assert probe.unpacked(line) == json.loads(json.dumps(told))
        if request in several:
            assert len(line) < len(json.dumps(told))


def test_it_is_damaged_by_name_and_not_opened(existing: Dataset, deadly: str, opened: list[str]) -> None:
    dataset = Dataset(existing.data_path, existing.files_path)
    damage = [f for f in verify(dataset) if isinstance(f, Finding) and f.is_damage and f.item == deadly]
    (found,) = damage
    assert found.message.startswith("is damaged: reading it ended the process (SIGABRT)")
    assert deadly not in opened
    (run,) = [run for run in dataset.runs() if deadly in run.part_paths]
    with pytest.raises(DatasetError, match="reading it ended the process"):
        list(run.batches())
    with pytest.raises(DatasetError, match="reading it ended the process"):
        check_parts(run)
    assert deadly not in opened


def test_the_others_are_summarised(existing: Dataset, deadly: str) -> None:
    before = {r.key: r for p in summarise(existing).projects for r in p.runs}
    after = {
        r.key: r for p in summarise(Dataset(existing.data_path, existing.files_path)).projects for r in p.runs
    }
    assert before.keys() == after.keys()
    (damaged,) = [key for key in after if after[key] != before[key]]
    assert after[damaged].state == "damaged"
    assert any("reading it ended the process" in problem for problem in after[damaged].problems)


def test_a_part_that_was_replaced_is_read_again(
    existing: Dataset, deadly: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset(existing.data_path, existing.files_path)
    assert any(run.problems or run.key for run in dataset.runs())
    monkeypatch.delenv(VARIABLE)
    probed(dataset.data).rest()
    path = existing.data_path / deadly
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    assert not [f for f in verify(dataset) if isinstance(f, Finding) and f.item == deadly]


def test_bytes_that_are_no_text_are_damage(existing: Dataset, tmp_path: Path) -> None:
    """Seen with one changed byte of a page: an index beyond the dictionary, or text that is not UTF-8."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (path, *_) = sorted(existing.data_path.rglob("*_part_0.parquet"))
    table = pq.read_table(path)
    column = table.schema.get_field_index("string_value")
    wrong = pa.array([b"\xff\xfe"] * len(table), pa.binary())
    text = pa.StringArray.from_buffers(len(wrong), *wrong.buffers()[1:])
    pq.write_table(table.set_column(column, table.schema.field(column), text), path)
    found = [f for f in verify(existing) if isinstance(f, Finding) and path.as_posix().endswith(f.item)]
    assert any(f.is_damage and "damaged" in f.message for f in found), found


def test_what_was_recorded_is_not_probed_again(existing: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    before = summarise(existing)
    assert len(list(record(existing))) == len([run for p in before.projects for run in p.runs])

    def start(self: Probed) -> None:
        raise AssertionError("a child process was started")

    monkeypatch.setattr(Probed, "_running", start)
    again = Dataset(existing.data_path, existing.files_path)
    after = summarise(again)
    assert after.projects == before.projects
    assert (before.without_checksums > 0, after.without_checksums) == (True, 0)
    part = min(existing.data_path.rglob("*_part_0.parquet"))
    part.write_bytes(part.read_bytes())  # the same bytes, changed at another time
    with pytest.raises(AssertionError, match="a child process"):
        summarise(Dataset(existing.data_path, existing.files_path))


def damage_of(dataset: Dataset, item: str) -> list[str]:
    return [f.message for f in verify(dataset) if isinstance(f, Finding) and f.is_damage and f.item == item]


def test_a_part_whose_reader_was_ended_once_is_read_again_alone(
    existing: Dataset, deadly: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    plain = Probed._running

    def running(self: Probed) -> object:
        child = plain(self)
        if child.pid not in started:
            started.append(child.pid)
            monkeypatch.delenv(VARIABLE, raising=False)  # the next one lives
        return child

    monkeypatch.setattr(Probed, "_running", running)
    assert not damage_of(Dataset(existing.data_path, existing.files_path), deadly)
    assert len(started) == 2


def test_a_reader_that_is_ended_from_outside_damages_nothing_for_ever(
    existing: Dataset, deadly: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SIGNAL_VARIABLE, "SIGKILL")
    dataset = Dataset(existing.data_path, existing.files_path)
    (told,) = damage_of(dataset, deadly)
    assert told == (
        "was not read: the process that reads it was ended twice from outside (SIGKILL), "
        "as happens where memory runs out"
    )
    monkeypatch.delenv(VARIABLE)
    probed(dataset.data).rest()
    assert not damage_of(dataset, deadly), "the same process has more memory now"


def test_a_reader_that_hangs_is_bounded_and_named(
    existing: Dataset, deadly: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SIGNAL_VARIABLE, "SIGSTOP")
    monkeypatch.setattr(probing, "_seconds_for", lambda size: 1.0)
    dataset = Dataset(existing.data_path, existing.files_path)
    assert damage_of(dataset, deadly) == ["was not read: that took more than 1 s"]
    assert probed(dataset.data)._child is None or probed(dataset.data)._child.poll() is None


def test_lack_of_memory_in_the_reader_is_not_damage(
    existing: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def facts_of(parts: object, *, decode: bool) -> None:
        raise MemoryError

    monkeypatch.setattr(probe, "facts_of", facts_of)
    path = next(existing.runs()).part_paths[0]
    told = probe.answers(existing.data, [path], decode=False)
    assert told == [{"error": "cannot be read now: MemoryError", "passing": True}]


def test_parts_are_read_together_only_as_far_as_they_are_small() -> None:
    sizes = [10] * 20 + [probing._TOGETHER_BYTES] + [10] * 3
    stamps: dict[str, probing.Stamp] = {f"part {n}": (size, 0) for n, size in enumerate(sizes)}
    together = list(probing._within_limits(stamps, stamps))
    assert [path for several in together for path in several] == list(stamps)
    assert list(map(len, together)) == [16, 4, 1, 3]


def test_a_reader_that_fails_says_nothing_of_the_part(existing: Dataset, deadly: str) -> None:
    """An error of Python, in the reading of one part and where it ends the process."""
    answer = probe._trouble(existing.data, deadly, TypeError("an integer is required"))
    assert answer == {
        "error": "was not read: the program failed on it (TypeError: an integer is required)",
        "passing": True,
    }
    worker = probed(existing.data)
    worker._give_up(existing.data, deadly, existing.data.stamp(deadly), _Ended("exit code 1"))
    with pytest.raises(DatasetError, match="was not read: the process that reads it failed"):
        worker.facts(existing.data, deadly)
