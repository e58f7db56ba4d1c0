"""`summary --reporter html`: the page that needs nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from neptune_exporter.cli.app import app
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import RunKey
from neptune_exporter.reporters.curves import Thinned, thinned
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import (
    SampleAttribute,
    SampleFile,
    SampleRun,
    file_series,
    float_series,
    parameter,
)

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


def page(folder: Path, *runs: SampleRun, code: int = 0) -> str:
    """The page of an export of these runs."""
    data, files = folder / "data", folder / "files"
    if not data.exists():
        export_runs(
            memory_source_spec(MemorySource(list(runs))),
            None,
            ExportOptions(["acme/vision"], data, files),
            progress=Progress(),
        )
    out = folder / "report.html"
    arguments = ["summary", "-d", str(data), "-f", str(files), "--reporter", "html", "-o", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, result.output
    return out.read_text()


def sample(run_id: str, *attributes: SampleAttribute) -> SampleRun:
    return SampleRun(RunKey("acme/vision", run_id), attributes)


def test_it_shows_curves_parameters_and_small_pictures(tmp_path: Path) -> None:
    text = page(
        tmp_path,
        sample(
            "run-1",
            parameter("config/lr", 0.125),
            float_series("train/loss", [(step, 1.0 / (step + 1)) for step in range(50)]),
            file_series("samples", [(0, SampleFile(PNG, "a.png")), (1, SampleFile(b"x" * 50_000, "b.png"))]),
            file_series("seen", [(0, SampleFile(PNG, "c.png"))]),
        ),
        sample("run-2", float_series("train/loss", [(0, 1.0), (1, float("nan")), (2, 3.0)])),
    )
    assert "<b>train/loss</b>" in text and "53 points, 1 NaN or infinite" in text
    assert len(re.findall(r'<path class="c[01]" d="M\d+ \d+h0', text)) == 2
    assert "<th>config/lr</th><td>0.125</td>" in text
    assert text.count("<img ") == 1 and "data:image/png;base64," in text
    assert "<script" not in text and "http://" not in text and "https://" not in text


def test_hostile_names_are_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'&"
    text = page(tmp_path, sample(evil, parameter(evil, evil), float_series(f"{evil}2", [(0, 1.0)])))
    assert "<script" not in text and "&lt;script&gt;" in text


def test_a_damaged_run_costs_itself_and_is_named_first(tmp_path: Path) -> None:
    runs = [sample(f"run-{i}", float_series("loss", [(0, 1.0), (1, 2.0)])) for i in range(2)]
    page(tmp_path, *runs)
    part = next((tmp_path / "data").rglob("run-0*part_0.parquet"))
    part.write_bytes(part.read_bytes()[:-30])
    text = page(tmp_path, code=3)
    assert "Problems" in text and text.index("Problems") < text.index("<details")
    assert "2 points" in text


def test_thirty_runs_of_fifty_metrics_stay_within_three_megabytes() -> None:
    from neptune_exporter.reporters.curves import Drawn, extent, paths
    from neptune_exporter.reporters.project_page import PageBudget

    generator = np.random.default_rng(0)
    budget = PageBudget.for_series(30 * 50)
    series = Thinned(budget.buckets)
    series.add(np.arange(1_000.0), generator.normal(size=1_000))  # noise: no curve takes more
    drawn = [Drawn(0, *series.curve())]
    (path,) = paths(drawn, extent([drawn[0].x]), extent([drawn[0].y]))
    assert len(path) * 30 * 50 < 2_500_000


def test_a_spike_and_every_nan_bucket_stay() -> None:
    y = np.zeros(1_000_000)
    y[123_456], y[200_000], y[900_000:900_010] = 5.0, -5.0, np.nan
    x, kept = thinned(np.arange(1_000_000.0), y, 50)
    assert len(x) <= 153
    assert x[kept == 5.0].tolist() == [123_456] and x[kept == -5.0].tolist() == [200_000]
    assert x[np.isnan(kept)].tolist() == [900_000]


@pytest.mark.parametrize("pieces", [1, 7])
def test_a_series_that_comes_in_pieces_keeps_its_extremes(pieces: int) -> None:
    values = np.random.default_rng(1).normal(size=700_000)
    series = Thinned(100)
    for x, y in zip(
        np.array_split(np.arange(700_000.0), pieces), np.array_split(values, pieces), strict=True
    ):
        series.add(x, y)
    x, y = series.curve()
    assert (series.points, series.last) == (700_000, values[-1])
    assert (y.min(), y.max()) == (values.min(), values.max())
    assert (x[0], x[-1]) == (0, 699_999) and len(x) < 250


def test_what_was_not_exported_is_named_first(tmp_path: Path) -> None:
    run = sample("run-1", parameter("config/lr", 0.1), float_series("loss", [(0, 1.0)]))
    source = MemorySource([run])
    source.fail_attribute(run.key, "loss")
    options = ExportOptions(["acme/vision"], tmp_path / "data", tmp_path / "files")
    export_runs(memory_source_spec(source), None, options, progress=Progress())
    first = page(tmp_path, code=3).partition("<details")[0]
    assert "<h2>Not exported</h2>" in first and "acme/vision:run-1 loss: loss: HTTP 500" in first
