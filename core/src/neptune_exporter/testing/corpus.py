"""The corpus: sample runs that hold every trap known to have cost someone data, by theme."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from neptune_exporter.model import RunKey, RunKind, SysAttribute
from neptune_exporter.testing.runs import (
    FIRST_TIME,
    INT64_MAX,
    INT64_MIN,
    SampleAttribute,
    SampleFile,
    SampleHistogram,
    SampleRun,
    artifact,
    file,
    file_series,
    file_set,
    float_series,
    histogram_series,
    parameter,
    string_series,
    without_times,
)

PROJECT = "acme/vision"
OTHER_PROJECT = "acme/vision_2"
LOOKALIKE_PROJECT = "acme/vision-2"

_SPECIAL_FLOATS = (-0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1 / 3, -1e-300)
_HISTOGRAM = SampleHistogram((0.0, 1.0, 2.0, 3.0), (1.0, 0.0, 7.0))

TEXTS = (
    "",
    " ",
    "plain",
    "two\nlines\r\nand\ttabs",
    'quotes " and \\ backslash',
    "before\x00after",
    "\x00",
    "naïve e\u0301 – 日本語 – \U0001f680 – \u202eright to left\u202c",
    "NaN",
    "null",
    "true",
    "007",
    "9007199254740993",
    "2024-01-01T00:00:00Z",
    "long " * 60_000,
)
"""Texts that encoders, databases and shells are known to change."""

NAMES = (
    "a.b",
    "a_b",
    "a b",
    "a-b",
    "a:b",
    "A.b",
    "é",
    "e\u0301",
    "x",
    "x/y",
    "x_y",
    "../x",
    "../../etc/passwd",
    "/abs",
    "abs",
    "con",
    "nul.txt",
    "dot.",
    "dot",
    "space ",
    "space",
    ".hidden",
    "C:\\x",
    "50%",
    "日本語/\U0001f680",
    "q?a=1&b#c",
    "n" * 251 + "1",
    "n" * 251 + "2",
    "deep/" * 200 + "leaf1",
    "deep/" * 200 + "leaf2",
)
"""Attribute paths that differ only in what someone replaces, folds, splits or cuts off."""

RUN_IDS = ("RUN-1", "RUN-10", "run-1", "a/b", "a_b", "a b", "a_part_0", "..", "con", "é", "r" * 240)


def sample_runs() -> list[SampleRun]:
    """The whole corpus: small (some 1,500 rows), the same every time, parents before children."""
    return [run for theme in THEMES for run in themed_runs(theme)]


def themed_runs(theme: str) -> list[SampleRun]:
    """The runs of one theme of `THEMES`."""
    return list(THEMES[theme]())


def _run(
    run_id: str,
    *attributes: SampleAttribute,
    project: str = PROJECT,
    kind: RunKind = RunKind.RUN,
    archived: bool = False,
) -> SampleRun:
    """A run with the `sys/` attributes that Neptune always keeps."""
    created = FIRST_TIME - timedelta(minutes=5)
    modified = FIRST_TIME + timedelta(days=sum(map(ord, run_id)) % 300, milliseconds=1)
    system = (
        parameter(SysAttribute.ID, f"ID-{sum(map(ord, run_id))}"),
        parameter(SysAttribute.CUSTOM_RUN_ID, run_id),
        parameter(SysAttribute.NAME, f"experiment {run_id}"[:200]),
        parameter(SysAttribute.CREATION_TIME, created),
        parameter(SysAttribute.MODIFICATION_TIME, modified),
        parameter(SysAttribute.FAILED, False),
    )
    run = SampleRun(RunKey(project, run_id, kind), system, modified, archived)
    return run.plus(*attributes)


def _types() -> Sequence[SampleRun]:
    steps = range(5)
    return [
        _run(
            "types",
            parameter("config/lr", 0.001),
            parameter("config/three", 3.0),
            parameter("config/epochs", 3),
            parameter("config/optimizer", "adam"),
            parameter("config/augment", True),
            parameter("config/started", datetime(2023, 10, 29, 1, 30, 0, 123000, tzinfo=timezone.utc)),
            parameter("config/labels", ["cat", "dog"]),
            float_series("train/loss", ((s, 1 / (s + 1)) for s in steps)),
            float_series("train/sparse", [(1, 0.5), (99, 0.25), (199, 0.125)]),
            string_series("logs/stdout", ((s, f"epoch {s}") for s in steps)),
            histogram_series("weights", ((s, _HISTOGRAM) for s in steps)),
            file("model", b"weights", "model.pt"),
            file_series("images", ((s, SampleFile(b"png %d" % s, ".png")) for s in steps)),
            file_set("source_code/files", {"train.py": b"print()\n", "lib/net.py": b""}),
            artifact("datasets/train", b'[{"filePath": "a.csv", "fileHash": "00", "type": "s3"}]'),
        )
    ]


def _numbers() -> Sequence[SampleRun]:
    ints = (0, -1, 2**31, -(2**31) - 1, 2**53 - 1, -(2**53) + 1)
    big = (2**53 + 1, -(2**53) - 1, INT64_MAX, INT64_MIN, INT64_MAX - 1)
    odd = (math.nan, math.inf, -math.inf)
    return [
        _run(
            "numbers",
            *(parameter(f"int/{n}", n) for n in ints),
            *(parameter(f"float/{n}", n) for n in _SPECIAL_FLOATS),
            float_series("values", enumerate(_SPECIAL_FLOATS)),
        ),
        _run("numbers-big", *(parameter(f"int/{n}", n) for n in big)),
        _run("numbers-odd-parameters", *(parameter(f"float/{n}", n) for n in odd)),
    ]


def _non_finite() -> Sequence[SampleRun]:
    values = (1.0, math.nan, math.inf, -math.inf, 2.0, math.nan)
    return [
        _run(
            "non-finite",
            float_series("mixed", enumerate(values)),
            float_series("all-nan", enumerate([math.nan] * 3)),
        )
    ]


def _text() -> Sequence[SampleRun]:
    return [
        _run(
            "text",
            *(parameter(f"text/{n}", text) for n, text in enumerate(TEXTS)),
            parameter("sets/empty", []),
            parameter("sets/odd", ["a,b", "a", "b", "", "日本語", "with space", '"quoted"']),
            string_series("lines", enumerate(TEXTS)),
            string_series("errors/stderr", [(0, "Traceback"), (1, "Traceback")]),
        )
    ]


def _names() -> Sequence[SampleRun]:
    return [
        _run("names-parameters", *(parameter(name, n) for n, name in enumerate(NAMES))),
        _run("names-series", *(float_series(name, [(0, n), (1, -n)]) for n, name in enumerate(NAMES))),
        _run("names-texts", *(string_series(name, [(0, f"text {n}")]) for n, name in enumerate(NAMES))),
        _run("names-files", *(file(name, b"file %d" % n, ".bin") for n, name in enumerate(NAMES))),
    ]


def _stepped(run_id: str, steps: Sequence[float]) -> SampleRun:
    """Series of every type at the given steps."""
    return _run(
        run_id,
        float_series("metric", ((s, float(n)) for n, s in enumerate(steps))),
        string_series("text", ((s, f"line {n}") for n, s in enumerate(steps))),
        histogram_series("histogram", ((s, _counting(n)) for n, s in enumerate(steps))),
        file_series("image", ((s, SampleFile(b"image %d" % n, ".png")) for n, s in enumerate(steps))),
    )


def _counting(n: int) -> SampleHistogram:
    return SampleHistogram((0.0, 1.0, 2.0), (float(n), 1.0))


def _histograms() -> Sequence[SampleRun]:
    histograms = {
        "uniform": SampleHistogram((0.0, 0.5, 1.0), (3.0, 4.0)),
        "not-uniform": SampleHistogram((0.0, 0.1, 1.0, 100.0), (3.0, 4.0, 5.0)),
        "one-bin": SampleHistogram((-1.0, 1.0), (9.0,)),
        "density": SampleHistogram((0.0, 0.25, 1.0), (0.8, 0.2), "DENSITY"),
        "fractional-counts": SampleHistogram((0.0, 1.0, 2.0), (0.5, 1.25)),
        "large-counts": SampleHistogram((0.0, 1.0, 2.0), (2.0**40, 2.0**53)),
        "empty-bins": SampleHistogram((-3.0, -2.0, -1.0), (0.0, 0.0)),
        "tiny-edges": SampleHistogram((0.0, 5e-324, 1e-300), (1.0, 2.0)),
    }
    series = (histogram_series(name, [(0, h), (1, h), (7, h)]) for name, h in histograms.items())
    mixed = histogram_series("changing", enumerate(histograms.values()))
    return [_run("histograms", *series, mixed)]


def _files() -> Sequence[SampleRun]:
    return [
        _run(
            "files",
            file("empty", b"", "empty.txt"),
            file("no-extension", b"\x00\xff\r\n", "README"),
            file("same/one", b"one", "same.txt"),
            file("same/two", b"two", "same.txt"),
            file("large", bytes(range(256)) * 2048, "large.bin"),
            file("odd-name", b"odd", "../../日本 語?.tar.gz"),
            file_series("plots", [(s, SampleFile(b"%d" % n, "p.png")) for n, s in enumerate((0, 1, 2, 10))]),
            file_set("sources", {"a.py": b"a", "b/a.py": b"b", "b/ü.py": b""}),
            artifact("data", b"[]"),
        )
    ]


def _times() -> Sequence[SampleRun]:
    metric = float_series("back-in-time", enumerate([1.0, 2.0, 3.0]))
    back = replace(
        metric,
        entries=tuple(
            replace(e, timestamp=FIRST_TIME - timedelta(hours=n)) for n, e in enumerate(metric.entries)
        ),
    )
    clock_change = replace(
        metric,
        path="clock-change",
        entries=tuple(
            replace(e, timestamp=datetime(2023, 10, 29, n, 30, tzinfo=timezone.utc))
            for n, e in enumerate(metric.entries)
        ),
    )
    one_instant = replace(
        metric,
        path="one-instant",
        entries=tuple(replace(e, timestamp=FIRST_TIME + timedelta(milliseconds=7)) for e in metric.entries),
    )
    return [
        _run(
            "times",
            back,
            clock_change,
            one_instant,
            without_times(float_series("no-times", enumerate([1.0, 2.0]))),
            without_times(string_series("no-times-text", [(0, "a"), (1, "b")])),
            float_series("no-points", []),
            string_series("no-lines", []),
        )
    ]


def _people() -> Sequence[SampleRun]:
    """What people write about their runs, and what is missing of it."""
    key = RunKey(PROJECT, "no-sys")
    return [
        _run(
            "tags",
            parameter(SysAttribute.TAGS, [f"tag {n}" for n in range(60)]),
            parameter(SysAttribute.GROUP_TAGS, ["group a", "group b", "group: c"]),
            parameter(SysAttribute.DESCRIPTION, "why " * 500),
        ),
        _run("long-name", parameter(SysAttribute.NAME, "n" * 300)),
        _run("failed", parameter(SysAttribute.FAILED, True)),
        SampleRun(key, (float_series("only/metric", [(0, 1.0)]),), FIRST_TIME),
        SampleRun(replace(key, run_id="empty"), (), None),
        _run("archived", parameter("old", True), archived=True),
    ]


def _forks() -> Sequence[SampleRun]:
    def fork(run_id: str, parent: str, step: float, first: int) -> SampleRun:
        return _run(
            run_id,
            parameter(SysAttribute.FORK_PARENT, parent),
            parameter(SysAttribute.FORK_STEP, step),
            float_series("loss", ((s, s / 10) for s in range(first, first + 3))),
        )

    return [
        _run("fork-root", float_series("loss", ((s, 1.0) for s in range(5)))),
        fork("fork-child", "fork-root", 3.0, 4),
        fork("fork-grandchild", "fork-child", 5.0, 6),
        fork("fork-sibling", "fork-root", 0.0, 1),
        fork("fork-orphan", "run that is not here", 2.0, 3),
    ]


def _identities() -> Sequence[SampleRun]:
    runs = [_run(run_id, parameter("which", f"{PROJECT} {run_id}")) for run_id in RUN_IDS]
    for project in (OTHER_PROJECT, LOOKALIKE_PROJECT):
        same_ids = RUN_IDS[:2]
        runs += [_run(i, parameter("which", f"{project} {i}"), project=project) for i in same_ids]
    return [r.plus(float_series("metric", [(0, n)])) for n, r in enumerate(runs)]


def _models() -> Sequence[SampleRun]:
    details = parameter("stage", "production")
    return [
        _run("VIS-MOD", details, kind=RunKind.MODEL),
        _run("VIS-MOD-1", details, file("binary", b"onnx", "m.onnx"), kind=RunKind.MODEL_VERSION),
        _run("VIS-MOD", parameter("stage", "a run, not a model")),
    ]


THEMES: Mapping[str, Callable[[], Sequence[SampleRun]]] = {
    "types": _types,
    "numbers": _numbers,
    "non-finite": _non_finite,
    "text": _text,
    "names": _names,
    "steps-fractional": lambda: [_stepped("steps-fractional", (0.1, 0.2, 0.29, 0.9, 1.0, 1.5, 57.29))],
    "steps-millionth": lambda: [_stepped("steps-millionth", (0.0, 0.000001, 0.000002, 3.141593))],
    "steps-fine": lambda: [_stepped("steps-fine", (1e-7, 2e-7, 1.0000001, 1.0000002, 1 / 3))],
    "steps-negative": lambda: [_stepped("steps-negative", (-2, -1, 0, 1))],
    "steps-large": lambda: [_stepped("steps-large", (1e12, 1_704_067_200_000, 1_704_067_200_001, 2**52 + 1))],
    "steps-duplicate": lambda: [_stepped("steps-duplicate", (0, 1, 1, 1, 2, 2))],
    "steps-unsorted": lambda: [_stepped("steps-unsorted", (5, 3, 4, 1, 2, 0))],
    "histograms": _histograms,
    "files": _files,
    "times": _times,
    "people": _people,
    "forks": _forks,
    "identities": _identities,
    "models": _models,
}
"""Builders of the corpus by theme: tests go theme by theme, so that a failure says its cause."""
