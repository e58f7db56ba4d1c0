"""Data by the million, for benchmarks and demos."""

from __future__ import annotations

import numpy as np

from .model import (
    FakeFile,
    FakeProject,
    FakeRun,
    FileSeries,
    FloatSeries,
    Histogram,
    HistogramSeries,
    StringSeries,
    Value,
)

_STARTED = 1_704_067_200_000


def synthetic_project(
    *,
    runs: int,
    metrics: int,
    points: int,
    strings: int = 0,
    histograms: int = 0,
    files: int = 0,
    file_bytes: int = 1024,
    parameters: int = 5,
    name: str = "acme/synthetic",
    seed: int = 0,
) -> FakeProject:
    """Runs `run-00000`… that each hold `metrics` metrics of `points` points, as many steps of one
    string and one histogram series as asked for, at least five parameters, and files. The same for the same
    seed.

    Memory: 8 bytes a float point (steps and times are shared), the files' bytes once for all runs.
    """
    generator = np.random.default_rng(seed)
    steps = np.arange(points, dtype=np.float64)
    times = _STARTED + 250 * np.arange(points, dtype=np.int64)
    content = generator.bytes(file_bytes)
    made = []
    for index in range(runs):
        attributes: dict[str, Value | None] = {
            "params/lr": float(10.0 ** -generator.integers(1, 6)),
            "params/batch_size": int(2 ** generator.integers(4, 12)),
            "params/model": ("resnet", "vit", "unet")[index % 3],
            "params/amp": index % 2 == 0,
            "sys/tags": {"synthetic", f"group-{index % 5}"},
        }
        for number in range(len(attributes), parameters):
            attributes[f"params/p{number:03d}"] = (index + number / 8, number, f"value {number}")[number % 3]
        for metric, values in enumerate(generator.standard_normal((metrics, points))):
            attributes[f"metrics/m{metric:03d}"] = FloatSeries(steps, values, times)
        if strings:
            lines = [f"run {index} line {n}" for n in range(strings)]
            attributes["logs/stdout"] = StringSeries(range(strings), lines)
        if histograms:
            attributes["hist/weights"] = HistogramSeries(
                range(histograms), [Histogram([0, 1, 2, 3], [n, index, 1]) for n in range(histograms)]
            )
        if files:
            attributes["files/model"] = FakeFile(content, "application/octet-stream")
            attributes["files/samples"] = FileSeries(range(files), [FakeFile(content, "image/png")] * files)
        made.append(FakeRun(f"run-{index:05d}", attributes, experiment=f"experiment-{index % 10}"))
    return FakeProject(name, made, key="SYN")
