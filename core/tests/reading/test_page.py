"""The examples of docs/reading-an-export.md run, in their order, with what the extra `testing` brings."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "reading-an-export.md"


def test_every_example_runs(exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(exports, tmp_path / "exports")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 8
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["content"] in (b"model bytes", b"one", b"two")
    assert len(names["paths"]) == 3 and all(path.is_file() for path in names["paths"])  # type: ignore
    assert len(names["wide"]) == 100 + 2 and len(names["some"]) == 11 + 0  # type: ignore
