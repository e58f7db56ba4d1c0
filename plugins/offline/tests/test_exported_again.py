"""One export after another: running jobs, torn ends, copies, files that come back."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq

from neptune_exporter.dataset.format import rowless

from .folders import Logging, container, folder_of, work_of
from .test_command import command
from .test_repeats import UUID, point, points, run_folder, write


def export(folder: Path, *paths: Path, code: int = 0) -> str:
    given = [argument for path in paths or (folder,) for argument in ("--offline-path", str(path))]
    done = command("export", "--exporter", "offline", "--offline-project", "a/b", *given, cwd=folder)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def exported(folder: Path, path: str = "loss") -> list[tuple[float, float]]:
    """Steps and values of a series, of all parts."""
    found = []
    for part in (folder / "exports" / "data").rglob("*_part_*.parquet"):
        for row in pq.read_table(part).to_pylist():
            if row["attribute_path"] == path:
                found.append((float(row["step"]), row["float_value"]))
    return sorted(found)


def is_up_to_date(said: str) -> bool:
    """Whether the only run was not read: listed 1, exported 0, up to date 1, failed 0."""
    return re.search(r" 1 +0 +1 +0\n", said) is not None


def numbered(count: int) -> list[tuple[float, float]]:
    return [(float(n), float(n + 1)) for n in range(count)]


def test_a_run_exported_while_it_is_logged_is_whole_at_the_next_export(tmp_path: Path) -> None:
    """The client counts operations that it has not written to disk yet, and a record may be cut off."""
    log = run_folder(tmp_path)
    write(log, [*points(1, 30), point(31)[:20]], put=40)
    said = export(tmp_path, code=3)
    assert "operations 31 to 40 are not in the log" in said and "or still runs" in said
    write(log, points(1, 50), put=50)
    assert exported(tmp_path) == numbered(30)
    export(tmp_path)
    export(tmp_path)
    assert exported(tmp_path) == numbered(50)


def test_a_folder_under_another_id_is_a_second_run_and_that_is_said(tmp_path: Path) -> None:
    write(run_folder(tmp_path), points(1, 3), put=3)
    first = export(tmp_path)
    args = ("export", "--exporter=offline", "--offline-project=a/b", f"--offline-path={tmp_path}")
    done = command(*args, "--offline-run-id=other", cwd=tmp_path)
    assert done.returncode == 0
    assert f"a/b:other: the same folder was exported as a/b:{UUID} before" in done.stderr
    again = command(*args, "--offline-run-id=other", cwd=tmp_path)
    assert "the same folder" not in first + again.stderr


def test_a_torn_copy_and_then_the_whole_log_elsewhere(tmp_path: Path) -> None:
    torn, whole = run_folder(tmp_path / "backup"), run_folder(tmp_path / "job", "1__renamed")
    write(torn, points(1, 30), put=40)
    write(whole, points(1, 50), put=50)
    export(tmp_path, tmp_path / "backup", code=3)
    export(tmp_path, tmp_path / "job")
    assert is_up_to_date(export(tmp_path, tmp_path / "backup")), "read again, though all of it is there"
    export(tmp_path, tmp_path / "job", tmp_path / "backup")
    assert exported(tmp_path) == numbered(50)


def test_a_copy_that_the_client_made_comes_back(neptune2: Logging, tmp_path: Path) -> None:
    from neptune.types import File

    with neptune2() as run:
        run["f"].upload(File.from_content(b"bytes", extension="bin"))
    copies = folder_of(tmp_path) / "upload_path"
    copies.rename(tmp_path / "away")
    assert "the client's copy" in export(work_of(tmp_path), code=3)
    shutil.copytree(tmp_path / "away", copies)
    export(work_of(tmp_path))
    export(work_of(tmp_path))
    (stored,) = (work_of(tmp_path) / "exports" / "files").rglob("*.bin")
    assert stored.read_bytes() == b"bytes"


def test_records_that_differ_are_partial_at_every_export(tmp_path: Path) -> None:
    write(run_folder(tmp_path), [*points(1, 5), point(5, value=-1)], put=5)
    for _ in range(2):
        export(tmp_path, code=3)
    assert sorted(value for _, value in exported(tmp_path)) == [-1, 1, 2, 3, 4, 5]


def test_a_project_that_was_not_found_is_advised_to_be_given(tmp_path: Path) -> None:
    """2.x folders do not name their project, so `-p` finds none."""
    write(run_folder(tmp_path / "job"), points(1, 3), put=3)
    done = command("export", "--exporter", "offline", "-p", "acme/mnist", cwd=tmp_path / "job")
    assert done.returncode == 2
    assert "error: -p: no folder of project acme/mnist was found, only of offline/job; " in done.stderr
    assert "give it as --offline-project" in done.stderr


def test_databases_of_one_run_exported_one_after_another(scale: Logging, tmp_path: Path) -> None:
    with scale() as run:
        for n in range(5):
            run.log_metrics({"m": float(n)}, step=n)
    work = work_of(tmp_path)
    copy = shutil.copytree(work / ".neptune", tmp_path / "elsewhere" / "copy")
    export(work, work / ".neptune")
    assert is_up_to_date(export(work, copy))
    assert exported(work, "m") == [(float(n), float(n)) for n in range(5)]


def test_a_run_of_a_newer_version_stays_and_the_others_are_exported(tmp_path: Path) -> None:
    log = run_folder(tmp_path)
    write(log, points(1, 3), put=3)
    export(tmp_path)
    (receipt,) = (tmp_path / "exports" / "data").rglob("*.receipt.parquet")
    content = rowless.unsealed(receipt.read_bytes())
    newer = content.replace(b'"version": 1', b'"version": 2, "shape": "new"')
    assert newer != content
    receipt.write_bytes(rowless.sealed(newer))
    kept = {path: path.read_bytes() for path in receipt.parent.iterdir()}
    write(log, points(1, 5), put=5)
    other = container(tmp_path, "run", "55555555-5555-4555-8555-555555555555")
    for force in ((), ("--force",)):
        done = command("export", "--exporter=offline", "--offline-project=a/b", *force, cwd=tmp_path)
        assert done.returncode == 3, done.stdout + done.stderr
        reason = "not exported: a newer neptune-exporter wrote what the dataset has of it"
        assert f"a/b:{UUID}: {reason}; upgrade neptune-exporter" in done.stdout + done.stderr
        assert "damage" not in done.stdout + done.stderr
        (other / "last_ack_version").write_text("1")
    assert {path: path.read_bytes() for path in kept} == kept
    assert len(list(receipt.parent.glob("*.receipt.parquet"))) == 2
