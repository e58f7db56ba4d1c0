"""Once all of a run was read, nothing of an earlier state of it stays; until then nothing good goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from neptune_exporter.contract import AttributeRequest, AttributeSelection, FileWriter, ReadEvent, RunRequest
from neptune_exporter.dataset import Receipt
from neptune_exporter.model import ALL_CLASSES, AttributeClass, RunKey
from neptune_exporter.schema import parameter_batch
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.memory_source import MemorySource
from neptune_exporter.testing.runs import SampleRun, float_series, parameter

from .test_export import a_run, assert_holds, dataset_of, export

KEY = RunKey("acme/vision", "RUN-1")
PARAMETERS = AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS}))
REST = AttributeSelection(classes=ALL_CLASSES - PARAMETERS.classes)
GONE = (parameter("config/gone", 1), float_series("gone", [(0, 1.0), (1, 2.0)]))
KEPT = float_series("train/loss", [(s, 1.0) for s in range(5)])


def older() -> SampleRun:
    return a_run().plus(*GONE, KEPT)


def newer(hours: int = 1) -> SampleRun:
    run = a_run().plus(float_series("train/loss", [(s, 2.0) for s in range(9)]), parameter("config/n", hours))
    assert run.modified_at is not None
    return replace(run, modified_at=run.modified_at + timedelta(hours=hours))


def changed(folder: Path) -> MemorySource:
    """A source whose run changed since all of it was exported."""
    source = MemorySource([older()])
    assert export(source, folder).complete
    source.put(newer())
    return source


def receipt_of(folder: Path) -> Receipt:
    receipt = dataset_of(folder).folder(KEY).receipt
    assert receipt is not None
    return receipt


def paths(folder: Path) -> set[str]:
    run = dataset_of(folder).run(KEY)
    assert run is not None
    return {row.path for row in run.rows()}


@pytest.mark.parametrize(
    "pieces", [(PARAMETERS, AttributeSelection()), (PARAMETERS, REST), (REST, PARAMETERS)]
)
def test_what_is_gone_goes_when_a_run_is_read_in_pieces(
    tmp_path: Path, pieces: tuple[AttributeSelection, ...]
) -> None:
    source = changed(tmp_path)
    source.reads.clear()
    for wanted in pieces:
        assert export(source, tmp_path, attributes=wanted).complete
    assert_holds(tmp_path, newer())
    assert len(source.reads) == len(newer().attributes), "what was covered was read again"


def test_what_is_gone_goes_although_something_else_failed(tmp_path: Path) -> None:
    source = changed(tmp_path)
    source.fail_attribute(KEY, KEPT.path, times=1)
    assert not export(source, tmp_path).complete
    assert_holds(tmp_path, newer().adapted(lambda a: KEPT if a.path == KEPT.path else a))
    assert [(f.attribute_path, f.kept) for f in receipt_of(tmp_path).failures] == [(KEPT.path, True)]
    source.reads.clear()
    assert export(source, tmp_path).complete
    assert source.reads == [(KEY, KEPT.path)]
    assert_holds(tmp_path, newer())


def test_a_run_that_failed_as_a_whole_keeps_what_it_had_until_it_is_read(tmp_path: Path) -> None:
    source = changed(tmp_path)
    source.fail_attribute(KEY, "", times=1)
    assert not export(source, tmp_path).complete
    assert_holds(tmp_path, older())
    assert export(source, tmp_path).complete
    assert_holds(tmp_path, newer())


@pytest.mark.parametrize("force", [False, True])
def test_narrow_exports_keep_what_they_do_not_ask_for_however_many_there_are(
    tmp_path: Path, force: bool
) -> None:
    source = MemorySource([older()])
    export(source, tmp_path)
    for hours in (1, 2):
        if not force:
            source.put(newer(hours))
        export(source, tmp_path, attributes=PARAMETERS, force=force)
        assert {KEPT.path, "gone"} <= paths(tmp_path)
    assert ("config/gone" in paths(tmp_path)) is force
    assert export(source, tmp_path).complete
    assert_holds(tmp_path, older() if force else newer(2))


def test_an_attribute_of_a_part_goes_and_the_others_of_it_stay(tmp_path: Path) -> None:
    source = MemorySource([older()])
    export(source, tmp_path, attributes=PARAMETERS)
    export(source, tmp_path, attributes=AttributeSelection("^(gone|train)"))
    source.put(newer())
    export(source, tmp_path, attributes=AttributeSelection("gone$"))
    assert_holds(
        tmp_path,
        older().adapted(lambda a: None if "gone" in a.path or not _is_held(a.path) else a),
    )
    assert export(source, tmp_path).complete
    assert_holds(tmp_path, newer())


def _is_held(path: str) -> bool:
    held = [a for a in older().attributes if a.path == path]
    return path.startswith("train") or held[0].type.attribute_class is AttributeClass.PARAMETERS


@pytest.mark.parametrize("still_there", [False, True])
def test_what_had_failed_for_good_is_read_with_the_rest_of_a_later_state(
    tmp_path: Path, still_there: bool
) -> None:
    source = MemorySource([older()])
    path = KEPT.path if still_there else "gone"
    source.fail_attribute(KEY, path, permanent=True, times=1)
    assert not export(source, tmp_path).complete
    source.put(newer())
    assert export(source, tmp_path, attributes=PARAMETERS).complete
    assert [f.attribute_path for f in receipt_of(tmp_path).failures] == [path]
    assert export(source, tmp_path).complete
    assert receipt_of(tmp_path).failures == ()
    assert_holds(tmp_path, newer())


def test_what_failed_keeps_its_old_rows_through_a_failed_retry(tmp_path: Path) -> None:
    source = changed(tmp_path)
    source.fail_attribute(KEY, KEPT.path, times=2)
    for _ in range(2):
        assert not export(source, tmp_path).complete
        assert_holds(tmp_path, newer().adapted(lambda a: KEPT if a.path == KEPT.path else a))
    assert export(source, tmp_path).complete
    assert_holds(tmp_path, newer())


def test_what_another_tool_exported_stays_whatever_the_source_has_now(tmp_path: Path) -> None:
    """Nobody knows where it came from: perhaps it is all there is."""
    gone = GONE[0]
    theirs = parameter_batch([(gone.path, gone.type, 1), ("other", gone.type, 2)])
    old_layout.write_run(tmp_path / "data", KEY, [theirs])
    assert export(MemorySource([newer()]), tmp_path).complete
    assert paths(tmp_path) == {attribute.path for attribute in newer().attributes} | {gone.path, "other"}


class Beside(MemorySource):
    """Delivers `image/name`, a series, with the file `image`: if that is asked for and does not fail."""

    broken = False

    def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        return super().read([self._chosen(request) for request in group], files)

    def _chosen(self, request: RunRequest) -> RunRequest:
        asked = request.attributes
        attributes = {a.path: a for a in self._runs[KEY].attributes}
        chosen = {a.path for a in attributes.values() if asked.includes(a.path, a.type)} - {"image/name"}
        if "image" in chosen and not self.broken:
            chosen.add("image/name")
        wanted = AttributeSelection(names=(*chosen, "nothing"))
        return replace(request, attributes=AttributeRequest(wanted))


def test_what_a_source_delivers_with_a_file_stays_with_it(tmp_path: Path) -> None:
    image = next(a for a in older().attributes if a.type.attribute_class is AttributeClass.FILES)
    both = (replace(image, path="image"), float_series("image/name", [(0, 1.0)]))
    source = Beside([older().plus(*both)])
    files, metrics = (
        AttributeSelection(classes=frozenset({c})) for c in (AttributeClass.FILES, AttributeClass.METRICS)
    )
    for wanted in (files, metrics, AttributeSelection()):
        export(source, tmp_path, attributes=wanted)
        assert {"image", "image/name"} <= paths(tmp_path)
    source.put(newer().plus(*both))
    source.broken = True
    source.fail_attribute(KEY, "image", times=1)
    assert not export(source, tmp_path).complete
    assert {"image", "image/name"} <= paths(tmp_path)
    source.put(newer(2))
    assert export(source, tmp_path).complete
    assert_holds(tmp_path, newer(2))
