"""`verify` of another tool's export as a person uses it: record, find damage, accept it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from click.testing import Result

from neptune_exporter.model import RunKey

Run = Callable[..., Result]

EXISTING = Path(__file__).parents[3] / "tests" / "data" / "existing-export"
AT = ("-d", "e/data", "-f", "e/files")


def test_record_accept_and_find_what_is_new(run: Run, folder: Path) -> None:
    shutil.copytree(EXISTING, folder / "e")
    first = run("verify", *AT, "--write-accepted", "known.json")
    assert first.exit_code == 4
    assert "without checksums" in first.stderr and "`neptune-exporter verify --record`" in first.stderr
    (entry,) = json.loads(Path("known.json").read_text())["accepted"]
    assert (entry["item"], entry["sha256"]) == ("run-a/artifacts/gone.bin", None)

    recorded = run("verify", *AT, "--record", "--accept", "known.json")
    assert recorded.exit_code == 0, recorded.output
    assert "accepted, as it is known: 1 problem" in recorded.stdout
    assert "nothing new" in recorded.stdout.splitlines()[-1]
    assert " recorded\n" in recorded.stdout and "without checksums" not in recorded.stderr

    file = min(p for p in Path("e/files").glob("[!.]*/**/*") if p.is_file() and p.stat().st_size)
    content = file.read_bytes()
    file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    damaged = run("verify", *AT, "--accept", "known.json")
    assert damaged.exit_code == 4
    (line,) = [line for line in damaged.stdout.splitlines() if line.startswith("damage: ")]
    assert file.name in line and ", when checksums were recorded (SHA-256 differs)" in line


def test_no_checksums_are_recorded_without_the_folder_of_files(run: Run, folder: Path) -> None:
    """They would be of parts only, and are never recorded again."""
    shutil.copytree(EXISTING, folder / "e")
    there = set(folder.rglob("*"))
    Path("empty").mkdir()
    for files, reason in (("e/filez", "there is no folder of files"), ("empty", "holds no file of this")):
        refused = run("verify", "-d", "e/data", "-f", files, "--record")
        assert refused.exit_code == 2 and reason in refused.stderr, refused.output
    assert set(folder.rglob("*")) - there == {folder / "empty"}


def test_damage_of_many_files_is_said_in_the_plural(run: Run, folder: Path) -> None:
    shutil.copytree(EXISTING, folder / "e")
    run("verify", *AT, "--record")
    for path in Path("e/files").glob("[!.]*/**/*"):
        if path.is_file():
            path.unlink()
    (line,) = (line for line in run("verify", *AT).stdout.splitlines() if " files of " in line)
    assert " are missing, unlike on " in line and "; restore from a copy, or " in line, line
    assert not {"it", "its", "was"} & set(line.partition(" or ")[0].split()), line


def test_each_damage_is_printed_once(run: Run, folder: Path) -> None:
    shutil.copytree(EXISTING, folder / "e")
    part = min(Path("e/data").rglob("run-a-*_part_0.parquet"))
    part.write_bytes(part.read_bytes()[:-10])
    result = run("verify", *AT, "--all")
    damage = [line for line in result.stdout.splitlines() if line.startswith("damage: ")]
    assert result.exit_code == 4 and len(set(damage)) == len(damage), damage
    assert sum(part.name in line for line in damage) == 1, damage
    listed = json.loads(run("verify", *AT, "--json").stdout)["findings"]
    assert len([f for f in listed if f["is_damage"]]) == len(damage)
    assert f"Verification failed: {len(damage)} problem" in result.stdout


def test_what_could_not_be_exported_is_a_gap_until_it_is_there(
    run: Run, tracker: ModuleType, folder: Path
) -> None:
    tracker.source.fail_attribute(RunKey("acme/vision", "RUN-1"), "lr", times=1)
    assert run("export", "--exporter", "tracker").exit_code == 3
    found = run("verify", "--write-accepted", "known.json")
    assert found.exit_code == 3
    shown = run("summary", "-o", "s.txt")
    assert shown.exit_code == run("summary").exit_code == run("summary", "--json").exit_code == 3
    assert "not complete: acme/vision:RUN-1; s.txt says more" in shown.stderr
    (gap,) = [line for line in found.stdout.splitlines() if line.startswith("gap: ")]
    assert "acme/vision:RUN-1: lr could not be exported: " in gap
    assert found.stdout.splitlines()[-1].startswith("no damage, but 1 item could not be exported")
    document = json.loads(run("verify", "--json").stdout)
    assert (document["exit_code"], document["whole"], document["gaps"]) == (3, True, 1)
    assert run("verify", "--accept", "known.json").exit_code == 0
    assert run("export", "--exporter", "tracker").exit_code == 0
    assert run("verify").stdout.splitlines()[-1] == "everything is as it should be"


def test_a_files_folder_that_is_not_there_is_refused(run: Run, folder: Path) -> None:
    shutil.copytree(EXISTING, folder / "e")
    for command in ("summary", "verify"):
        result = run(command, "-d", "e/data", "-f", "e/filez")
        assert result.exit_code == 2
        assert result.stderr.splitlines()[-1] == (
            "error: there is no folder of files at e/filez: name it with --files-path"
        )


def test_a_folder_without_any_file_of_the_dataset_is_refused(
    run: Run, tracker: ModuleType, folder: Path
) -> None:
    shutil.copytree(EXISTING, folder / "e")
    for name in ("empty", "foreign"):
        (folder / name).mkdir()
    (folder / "foreign" / "photo.jpg").write_bytes(b"x")
    for files in ("empty", "foreign"):
        target = ["--loader", "tracker"]
        for command in (["summary"], ["verify"], ["load", *target], ["verify", *target]):
            result = run(*command, "-d", "e/data", "-f", files)
            assert result.exit_code == 2
            assert result.stderr.splitlines()[-1] == (
                f"error: {files} holds no file of this dataset, but the runs have files: name the folder of "
                "its files with --files-path"
            )
    for option in ("-d", "-f"):
        result = run("summary", option, "")
        assert result.exit_code == 2 and "the name of the folder is empty" in result.stderr


def test_a_parquet_file_that_is_no_part_is_named(run: Run, tracker: ModuleType, folder: Path) -> None:
    """It may hold rows: whoever renamed a part by hand must learn that nothing gets them."""
    assert run("export", "--exporter", "tracker").exit_code == 0
    part = min(Path("exports/data").rglob("*_part_0.parquet"))
    data = Path("exports/data")
    for stray in (part.with_name("backup.parquet"), data / "mine.parquet", data / part.name):
        shutil.copy(part, stray)
        for command in (("summary",), ("verify",), ("load", "--loader", "tracker", "--dry-run")):
            found = run(*command)
            assert found.exit_code == 3, command
            assert f"{stray} is not read" in found.stdout or f"{stray.name} is not read" in found.stdout
        assert run("load", "--loader", "tracker", "--dry-run", "-r", "RUN-1").exit_code == 0
        assert run("verify", "--write-accepted", "known.json").exit_code == 3
        assert run("verify", "--accept", "known.json").exit_code == 0
        stray.unlink()
    (part.parent / ".hidden.parquet").write_bytes(b"")
    assert run("summary").exit_code == run("verify").exit_code == 0
