"""Files: read only from where they may be, and what is missing costs only itself."""

from __future__ import annotations

import base64
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.model import AttributeType
from neptune_exporter_offline.testing.neptune2 import append_operations

from .folders import Logging, folder_of

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


def upload(path: str, **where: Any) -> dict[str, Any]:
    return {"type": "UploadFile", "path": [path], "ext": "bin", "clean_after_upload": False, **where}


def test_files_of_every_kind(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    from neptune.types import File

    (tmp_path / "weights.pt").write_bytes(b"w" * 3_000_000)
    with neptune2() as run:
        run["by/path"].upload(str(tmp_path / "weights.pt"))
        run["memory"].upload(File.from_content("text"))
        run["memory"].upload(File.from_content(b"newer", extension="bin"))
        run["images"].append(File.from_content(PNG, extension="png"), name="n", description="d")
        run["images"].append(File.from_content(PNG, extension="png"), step=1.5)
        run["images"].append(File.from_content(PNG, extension="png"), step=1.5)
    append_operations(
        folder_of(tmp_path),
        {"type": "UploadFileContent", "path": ["inline"], "ext": "txt", "file_content": "aGVsbG8="},
    )
    found = read(tmp_path / "work")
    assert found.value("by/path") == b"w" * 3_000_000
    assert (found.value("memory"), found.value("inline")) == (b"newer", b"hello")
    assert found.points("images") == [(Decimal(0), PNG), (Decimal("1.5"), PNG), (Decimal("1.5"), PNG)]
    assert len({row["file_value"]["path"] for row in found.rows if row.get("file_value")}) == 6
    assert found.failures == []
    assert (found.points("images/name"), found.points("images/description")) == ([(0, "n")], [(0, "d")])
    assert found.notes == ()


def test_names_for_people(neptune2: Logging, tmp_path: Path) -> None:
    from neptune.types import File

    from neptune_exporter.contract import AttributeRequest, FileWriter, RunRequest, RunSelection
    from neptune_exporter.testing import MemoryFiles
    from neptune_exporter_offline.plugin import make_source
    from neptune_exporter_offline.settings import OfflineSettings

    (tmp_path / "weights.pt").write_bytes(b"w")
    with neptune2() as run:
        run["path"].upload(str(tmp_path / "weights.pt"))
        run["memory"].upload(File.from_content("text"))
        run["image"].append(File.from_content(PNG, extension="png"))
    names = {}

    class Recorder(MemoryFiles):
        def create(self, run: Any, attribute_path: str, *, name: str = "", **place: Any) -> Any:
            names[attribute_path] = name
            return super().create(run, attribute_path, name=name, **place)

    source = make_source(OfflineSettings(path=(str(tmp_path / "work"),)))
    files: FileWriter = Recorder()
    for project in source.projects():
        for run in source.runs(project, RunSelection()):
            assert list(source.read([RunRequest(run, AttributeRequest())], files))
    assert names == {"path": "weights.pt", "memory": ".txt", "image": ".png"}


def test_files_logged_by_path_are_left_alone_if_asked(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    from neptune.types import File

    (tmp_path / "secret.txt").write_text("s")
    with neptune2() as run:
        run["path"].upload(str(tmp_path / "secret.txt"))
        run["set"].upload_files(str(tmp_path / "*.txt"))
        run["artifact"].track_files(str(tmp_path / "secret.txt"))
        run["memory"].upload(File.from_content("copied"))
    found = read(tmp_path / "work", read_files=False)
    assert found.value("memory") == b"copied"
    assert {f.attribute_path for f in found.failures} == {"path", "set", "artifact"}
    assert all("--no-offline-read-files" in f.message and not f.permanent for f in found.failures)
    assert list(found.files.contents.values()) == [b"copied"]


def test_missing_files_are_named(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    from neptune.types import File

    gone = tmp_path / "gone.bin"
    gone.write_bytes(b"x")
    with neptune2() as run:
        run["path"].upload(str(gone))
        run["memory"].upload(File.from_content(b"x", extension="bin"))
    gone.unlink()
    for copy in (folder_of(tmp_path) / "upload_path").iterdir():
        copy.unlink()
    found = read(tmp_path / "work")
    by_path, copied = sorted(found.failures, key=lambda f: f.attribute_path, reverse=True)
    assert (by_path.attribute_path, by_path.permanent) == ("path", False)
    assert by_path.message == f"{gone} was logged by its path and is not on this machine"
    assert (copied.attribute_path, copied.permanent) == ("memory", False)


@pytest.mark.parametrize(
    "name", ["../outside.bin", "sub/inside.bin", "..", ".", "", "/etc/hostname", "link.bin", "nul\0.bin"]
)
def test_copies_never_lead_out_of_their_folder(
    neptune2: Logging, read: Any, tmp_path: Path, name: str
) -> None:
    with neptune2():
        pass
    folder = folder_of(tmp_path)
    (folder / "outside.bin").write_bytes(b"outside")
    (folder / "upload_path" / "sub").mkdir()
    (folder / "upload_path" / "sub" / "inside.bin").write_bytes(b"inside")
    (folder / "upload_path" / "link.bin").symlink_to(folder / "outside.bin")
    append_operations(folder, upload("f", file_path=None, tmp_file_name=name))
    found = read(tmp_path / "work")
    assert found.values("f") == []
    (failure,) = found.failures
    assert failure.attribute_path == "f"
    assert "\0" not in failure.message


def test_what_is_no_file_does_not_block(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    pipe, directory = tmp_path / "pipe", tmp_path / "directory"
    os.mkfifo(pipe)
    directory.mkdir()
    with neptune2():
        pass
    append_operations(
        folder_of(tmp_path),
        upload("pipe", file_path=str(pipe), tmp_file_name=None),
        upload("directory", file_path=str(directory), tmp_file_name=None),
        upload("windows", file_path="C:\\logs\\model.bin", tmp_file_name=None),
    )
    found = read(tmp_path / "work")
    assert found.messages("pipe") == [f"{pipe} is not a file"]
    assert found.messages("directory") == [f"{directory} is not a file"]
    assert "is not on this machine" in found.messages("windows")[0]


def test_inline_content_that_is_empty_or_broken(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2():
        pass

    def image(step: int, data: object) -> dict[str, Any]:
        return {"value": {"data": data, "name": None, "description": None}, "step": step, "ts": 1.0}

    values = [image(0, ""), image(1, "%%%"), image(2, None), image(3, base64.b64encode(PNG).decode())]
    values.append({"value": base64.b64encode(PNG).decode(), "step": 4, "ts": 1.0})  # clients before 0.9.9
    append_operations(folder_of(tmp_path), {"type": "LogImages", "path": ["i"], "values": values})
    found = read(tmp_path / "work")
    assert found.points("i") == [(Decimal(3), PNG), (Decimal(4), PNG)]
    assert sorted(found.messages("i")) == [
        "step 0: the client logged it without content, as it does with large images",
        "step 1: its content in the log is not base64",
        "step 2: the client logged it without content, as it does with large images",
    ]


def test_an_unreadable_member_costs_only_itself(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    import zipfile
    from io import BytesIO

    data = tmp_path / "data"
    data.mkdir()
    (data / "a.txt").write_text("a")
    (data / "dead").symlink_to(data / "nowhere")
    with neptune2() as run:
        run["set"].upload_files(str(data))
    found = read(tmp_path / "work")
    with zipfile.ZipFile(BytesIO(found.value("set"))) as archive:
        assert archive.namelist() == ["a.txt"]
    (message,) = found.messages("set")
    assert str(data / "dead") in message


MODIFIED = "logged by its path and modified since; what was stored may not be what was logged"


def modify(path: Path, content: str) -> None:
    path.write_text(content)
    os.utime(path, (4e9, 4e9))


def test_files_that_were_modified_since_are_kept_with_a_note(
    neptune2: Logging, read: Any, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("same", "changed", "also"):
        (data / name).write_text("before")
    with neptune2() as run:
        for name in ("same", "changed"):
            run[name].upload(str(data / name))
        run["set"].upload_files(str(data))
        run["artifact"].track_files(str(data))
    modify(data / "changed", "after")
    modify(data / "also", "after")
    found = read(tmp_path / "work")
    assert (found.value("same"), found.value("changed")) == (b"before", b"after")
    assert set(found.notes) == {f"changed: {MODIFIED}", f"set: {MODIFIED} (2)", f"artifact: {MODIFIED} (2)"}
    assert found.failures == []


def test_files_of_older_clients_whose_logging_has_no_time(
    neptune2: Logging, read: Any, tmp_path: Path
) -> None:
    modify(tmp_path / "file", "x")
    with neptune2() as run:
        run["file"].upload(str(tmp_path / "file"))
    log = folder_of(tmp_path) / "data-1.log"
    records = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps({k: r[k] for k in ("obj", "version")}) + "\n" for r in records))
    assert read(tmp_path / "work").notes == ()


def test_files_of_3_x_that_changed_since_they_were_logged(scale: Logging, read: Any, tmp_path: Path) -> None:
    model, other = tmp_path / "model.pt", tmp_path / "other.pt"
    other.write_text("as large")
    with scale() as run:
        for step in range(4):
            model.write_text("w" * step)
            run.log_files({"checkpoint": str(model)}, step=step)
        run.assign_files({"file": str(model), "other": str(other), "memory": b"bytes"})
    modify(other, "AS LARGE")
    found = read(tmp_path / "work")
    assert found.points("checkpoint") == [(Decimal(step), b"www") for step in range(4)]
    assert (found.value("file"), found.value("other"), found.value("memory")) == (
        b"www",
        b"AS LARGE",
        b"bytes",
    )
    (failure,) = found.failures
    assert (failure.attribute_path, failure.attribute_type, failure.permanent) == (
        "checkpoint",
        AttributeType.FILE_SERIES,
        False,
    )
    assert failure.message == (
        f"{model} has another size than when it was logged; it was stored as it is now (3 times)"
    )
    assert found.notes == (f"other: {MODIFIED}",)
