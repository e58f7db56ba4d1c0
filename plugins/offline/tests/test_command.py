"""From folders to a dataset and back, through the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Logging = Callable[..., Any]


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    line = [
        sys.executable,
        "-c",
        "import sys; from neptune_exporter.cli import main; sys.exit(main())",
        *arguments,
    ]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def test_export_summary_and_again(scale: Logging, tmp_path: Path) -> None:
    with scale("parent", experiment_name="exp") as run:
        run.log_configs({"lr": 0.1})
        for n in range(100):
            run.log_metrics({"loss": 1 / (n + 1)}, step=n / 10)
    with scale("child", fork_run_id="parent", fork_step=5) as run:
        run.log_metrics({"loss": 0.5}, step=6)
        run.assign_files({"f": b"bytes"})
    work = tmp_path / "work"
    done = command("export", "--exporter", "offline", cwd=work)
    assert done.returncode == 0, done.stderr
    shown = command("summary", "--json", cwd=work)
    assert shown.returncode == 0, shown.stderr
    (project,) = json.loads(shown.stdout)["projects"]
    assert project["project_id"] == "acme/vision"
    again = command("export", "--exporter", "offline", cwd=work)
    assert again.returncode == 0, again.stderr
    verified = command("verify", cwd=work)
    assert verified.returncode == 0, verified.stdout + verified.stderr
