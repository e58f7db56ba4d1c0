"""What the kit offers can be imported, and a protocol server gets it without pytest."""

from __future__ import annotations

import subprocess
import sys

import pytest

import neptune_exporter.testing as kit


def test_every_exported_name_is_there() -> None:
    assert len(kit.__all__) > 30
    for name in kit.__all__:
        assert getattr(kit, name) is not None


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        kit.no_such_name  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "import neptune_exporter.testing.loopback",
        "from neptune_exporter.testing import MemorySource, MemorySink",
    ],
)
def test_servers_and_doubles_need_no_pytest(statement: str) -> None:
    block = "import sys; sys.modules['pytest'] = sys.modules['hypothesis'] = None"
    subprocess.run([sys.executable, "-c", f"{block}; {statement}"], check=True, timeout=60)
