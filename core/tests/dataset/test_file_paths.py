"""A file is found, and kept, however a row spells its path."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neptune_exporter.contract import AttributeSelection, FileEntry, SourceRun, UnsafePathError
from neptune_exporter.dataset import Dataset, Stays
from neptune_exporter.dataset.format.file_names import file_name, is_ours
from neptune_exporter.dataset.format.paths import folded, meaning
from neptune_exporter.model import FILE_TYPES, AttributeClass, AttributeType, RunKey
from neptune_exporter.schema import SCHEMA, attribute_batch
from neptune_exporter.testing.old_layout import san

from .writing import ALL, problems

KEY = RunKey("acme/vision", "run-ä")
PARAMETERS = [AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS}))]
PATHS = [["artifacts", "modèle.bin"], ["samples", "img", "step_0_000000.png"], ["Case", "A.txt"]]


def written_on_windows(parts: list[str]) -> str:
    return "\\".join([san(KEY.run_id), *parts])


def composed(parts: list[str]) -> str:
    return unicodedata.normalize("NFC", "/".join([san(KEY.run_id), *parts]))


def decomposed(parts: list[str]) -> str:
    return unicodedata.normalize("NFD", composed(parts))


def half_decomposed(parts: list[str]) -> str:
    return "/".join([san(KEY.run_id), unicodedata.normalize("NFD", parts[0]), *parts[1:]])


SPELLINGS = [written_on_windows, composed, decomposed]


def exported(dataset: Dataset, in_rows: object, on_disk: object) -> None:
    """As the earlier tool does, with files whose names a system or an archive changed."""
    rows = []
    for number, parts in enumerate(PATHS):
        row = dict.fromkeys(SCHEMA.names) | {"project_id": KEY.project_id, "run_id": KEY.run_id}
        row |= {"attribute_path": f"f/{number}", "attribute_type": "file"}
        rows.append(row | {"file_value": {"path": in_rows(parts)}})  # type: ignore[operator]
        path = dataset.files_path / san(KEY.project_id) / on_disk(parts).replace("\\", "/")  # type: ignore[operator]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
    part = dataset.data_path / san(KEY.project_id) / f"{san(KEY.run_id)}_part_0.parquet"
    part.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), part)


def stored(dataset: Dataset) -> list[bytes]:
    run = dataset.run(KEY)
    assert run is not None
    entries = [row for row in run.rows(FILE_TYPES) if isinstance(row, FileEntry)]
    return sorted(run.open_file(entry.file).read() for entry in entries)


@pytest.mark.parametrize("in_rows", SPELLINGS)
@pytest.mark.parametrize("on_disk", [composed, decomposed, half_decomposed])
def test_a_later_export_deletes_no_file_that_a_row_names(
    dataset: Dataset, in_rows: object, on_disk: object
) -> None:
    exported(dataset, in_rows, on_disk)
    assert stored(dataset) == [b"0", b"1", b"2"] and problems(dataset) == []
    folder = dataset.files_path / san(KEY.project_id) / san(KEY.run_id)
    stray = ["Thumbs.db", "desktop.ini", ".DS_Store", "._A.txt"]
    for name in stray:
        (folder / "Case" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "Case" / name).write_bytes(b"?")
    assert problems(dataset) == []
    with dataset.lock():
        dataset.writer(KEY).publish(SourceRun(KEY), "test 1", PARAMETERS, stays=Stays.NOT_DELIVERED)
    assert stored(dataset) == [b"0", b"1", b"2"] and problems(dataset) == []
    assert all((folder / "Case" / name).exists() for name in stray)


def test_what_another_tool_stored_is_never_deleted(dataset: Dataset) -> None:
    exported(dataset, composed, composed)
    with dataset.lock():
        dataset.writer(KEY).publish(SourceRun(KEY), "test 1", ALL, stays=Stays.NOTHING)
    assert len([p for p in (dataset.files_path / san(KEY.project_id)).rglob("*") if p.is_file()]) == 3
    assert all("no row names" in line for line in problems(dataset))


def test_what_we_stored_goes_once_no_row_names_it(dataset: Dataset) -> None:
    exported(dataset, written_on_windows, composed)
    for content in (b"x", b"y"):
        writer = dataset.writer(KEY)
        with dataset.files().create(KEY, "ours", name="a.tar.gz") as file:
            file.write(content)
        columns = {"file_value": pa.array([{"path": file.stored.path}]), "file_size": pa.array([1])}
        writer.write(attribute_batch("ours", AttributeType.FILE, columns))
        writer.publish(SourceRun(KEY), "test 1", ALL, stays=Stays.NOT_DELIVERED)
        assert stored(dataset) == [b"0", b"1", b"2", content] and problems(dataset) == []


def test_what_paths_mean() -> None:
    assert meaning("a\\b//./é") == meaning("a/b/e\u0301") == "a/b/é"
    assert folded("A\\É") == folded("a/e\u0301") != folded("a/e")


@pytest.mark.parametrize("file", ["..\\x", "a\\..\\..\\x", "C:\\x", "\\\\host\\x", ".", "./", "a/../../x"])
def test_no_spelling_leaves_the_folder(dataset: Dataset, file: str) -> None:
    exported(dataset, composed, composed)
    run = dataset.run(KEY)
    assert run is not None
    with pytest.raises(UnsafePathError):
        run.open_file(file)


def test_names_of_ours_are_told_from_others() -> None:
    for step in (None, 1.5):
        for name in ("", "model.bin", "x.tar.gz", "a b.PNG"):
            assert is_ours(file_name("models/é", name, step, 0))
    assert is_ours("a-0123456789abcdef-0123456789abcdef.tar.gz")
    for name in ("artifacts/model.bin", "Thumbs.db", "a/b-0123456789abcdef.bin", "step_1-0123456789abcde"):
        assert not is_ours(name)


def test_a_link_on_the_way_is_not_followed(dataset: Dataset, tmp_path: Path) -> None:
    exported(dataset, written_on_windows, composed)
    folder = dataset.files_path / san(KEY.project_id) / san(KEY.run_id)
    (folder / "Case").rename(tmp_path / "outside")
    (folder / "Case").symlink_to(tmp_path / "outside")
    run = dataset.run(KEY)
    assert run is not None
    with pytest.raises(UnsafePathError, match="symbolic link"):
        run.open_file(written_on_windows(["Case", "A.txt"]))
