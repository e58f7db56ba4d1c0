"""File sets and artifacts of the 2.x client, which name files that lie elsewhere."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

from neptune_exporter_offline.testing.neptune2 import append_operations

from .folders import Logging, folder_of, work_of


def test_file_sets_hold_what_the_client_would_upload(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "lib").mkdir(parents=True)
    for name, text in {"train.py": "a", "lib/net.py": "b", "lib/old.py": "c", ".hidden": "d"}.items():
        (code / name).write_text(text)
    with neptune2(source_files=[str(code / "*.py")]) as run:
        run["set"].upload_files(str(code))
        run["set"].delete_files("lib/old.py")
        run["globs"].upload_files([str(code / "*"), str(code / "nothing*")])
        run["reset"].upload_files(str(code / "lib"))
        run["reset"] = __import__("neptune").types.FileSet([str(code / "train.py")])
        run["all"].upload_files(str(code / "lib"))
        run["all"].delete_files(["net.py", "old.py"])
    found = read(work_of(tmp_path))

    def members(path: str) -> dict[str, bytes]:
        with zipfile.ZipFile(BytesIO(found.value(path))) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}

    assert members("source_code/files") == {"train.py": b"a"}
    assert members("set") == {"train.py": b"a", "lib/net.py": b"b", ".hidden": b"d"}
    assert members("globs") == {"train.py": b"a", "lib/net.py": b"b", "lib/old.py": b"c"}
    assert members("reset") == {"train.py": b"a"}
    assert found.values("all") == []
    assert found.types["set"] == "file_set"
    (message,) = found.messages("globs")
    assert message == f"nothing on this machine matches {code / 'nothing*'}"
    assert len(found.failures) == 1


def test_sets_below_the_working_directory_are_named_from_it(
    neptune2: Logging, read: Any, tmp_path: Path
) -> None:
    source = work_of(tmp_path) / "src" / "deep" / "a.py"
    source.parent.mkdir(parents=True)
    source.write_text("a")
    with neptune2(source_files=[str(source)]):
        pass
    found = read(work_of(tmp_path))
    with zipfile.ZipFile(BytesIO(found.value("source_code/files"))) as archive:
        assert archive.namelist() == ["src/deep/a.py"]


def test_artifacts_become_the_list_of_their_files(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    from neptune.internal.artifacts.drivers.local import LocalArtifactDriver

    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    (data / "b.csv").write_text("1,2")
    (data / "sub" / "a.csv").write_text("3")
    with neptune2() as run:
        run["all"].track_files(str(data))
        run["one"].track_files(f"file://{data}/b.csv", destination="to")
        run["remote"].track_files("s3://bucket/key")
        run["gone"].track_files(str(tmp_path / "gone"))
    append_operations(folder_of(tmp_path), {"type": "AssignArtifact", "path": ["hash"], "hash": "ab12"})
    found = read(work_of(tmp_path))
    listed = json.loads(found.value("all"))
    expected = LocalArtifactDriver.get_tracked_files(str(data))
    assert {(e["filePath"], e["fileHash"], e["size"], e["type"]) for e in listed} == {
        (e.file_path, e.file_hash, e.size, e.type) for e in expected
    }
    assert {e["filePath"]: e["metadata"] for e in listed} == {e.file_path: e.metadata for e in expected}
    assert [e["filePath"] for e in json.loads(found.value("one"))] == ["to/b.csv"]
    assert found.types["all"] == "artifact"
    assert {f.attribute_path for f in found.failures} == {"remote", "gone", "hash"}
    assert "ab12" in found.messages("hash")[0]
