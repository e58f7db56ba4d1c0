"""The plugin of docs/writing-a-plugin.md works as the page says: a source, a reporter and a command."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result

PAGE = Path(__file__).parents[3] / "docs" / "writing-a-plugin.md"


def test_the_plugin_of_the_page(distributions: Any, folder: Path, run: Callable[..., Result]) -> None:
    text = PAGE.read_text()
    blocks = re.findall(r"```python\n(.*?)```", text[text.index("## A source") :], re.DOTALL)
    assert len(blocks) == 3
    distributions.add("acme-csv", "\n\n".join(blocks))
    logs = folder / "logs"
    logs.mkdir()
    (logs / "first.csv").write_text("step,loss,note\n0,1.5,a\n1,0.5,b\n2,0.25,c\n")

    exported = run("export", "--exporter", "csv", "-p", "acme/logs")
    assert exported.exit_code == 3 and "note has no numbers" in exported.output
    assert "acme/logs:first partial 1" in run("summary", "--reporter", "names").output
    counted = run("count", "--least", "2")
    assert (counted.exit_code, counted.output) == (0, "acme/logs:first loss 3\n")
    assert run("count", "--least", "4").output == ""
