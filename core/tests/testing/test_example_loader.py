"""The example of a loader passes the kit, and is as short as its guide says."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

_EXAMPLE = Path(__file__).parents[3] / "examples" / "sqlite_loader"

pytestmark = pytest.mark.skipif(not _EXAMPLE.is_dir(), reason="the examples are not here")


def test_the_example_conforms(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(_EXAMPLE / "src")
    result = pytester.inline_run("-q", "-p", "no:cacheprovider", str(_EXAMPLE / "tests"))
    passed, _, failed = result.listoutcomes()
    assert [report.nodeid for report in failed] == []
    assert len(passed) > 40


def test_the_example_is_short() -> None:
    code = (_EXAMPLE / "src" / "neptune_exporter_sqlite" / "loader.py").read_text("utf-8")
    body = code.split('"""', 2)[2]
    assert sum(bool(line.strip()) for line in body.splitlines()) <= 100
