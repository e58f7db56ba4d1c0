"""Hypothesis strategies for runs: anything that a dataset can hold, with a taste for what is odd.

`sample_run()` is what most tests want; its parts are there for tests of one part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

from hypothesis import strategies as st

from neptune_exporter.model import FILE_TYPES, AttributeType, RunKey
from neptune_exporter.testing.corpus import NAMES, PROJECT, RUN_IDS, TEXTS
from neptune_exporter.testing.runs import (
    INT64_MAX,
    INT64_MIN,
    Entry,
    SampleAttribute,
    SampleFile,
    SampleHistogram,
    SampleRun,
    Value,
)

_EARLIEST, _LATEST = 0, 4_102_444_800_000  # 1970 to 2100
_ALL_TYPES = tuple(AttributeType)


def texts(*, min_size: int = 0) -> st.SearchStrategy[str]:
    """Any text that UTF-8 can hold, often one of the corpus."""
    short = [text for text in TEXTS if min_size <= len(text) < 100]
    return st.sampled_from(short) | st.text(st.characters(exclude_categories=["Cs"]), min_size=min_size)


def paths() -> st.SearchStrategy[str]:
    """Attribute paths; never under `sys/`, where names have a meaning."""
    return (st.sampled_from(NAMES) | texts(min_size=1)).filter(lambda path: not path.startswith("sys/"))


def times() -> st.SearchStrategy[datetime]:
    """Aware, whole milliseconds, 1970 to 2100."""
    instants = st.integers(_EARLIEST, _LATEST)
    return instants.map(
        lambda ms: datetime.fromtimestamp(ms // 1000, timezone.utc).replace(microsecond=ms % 1000 * 1000)
    )


def steps() -> st.SearchStrategy[float]:
    """Finite doubles: whole, in millionths, and any other."""
    return st.one_of(
        st.integers(-5, 50).map(float),
        st.integers(-(10**9), 10**9).map(lambda n: n / 1e6),
        st.sampled_from((0.1, 0.29, 1e-7, 1e12, 1_704_067_200_000.0, 2.0**53, 999_999_999_999.999)),
        st.floats(allow_nan=False, allow_infinity=False),
    )


def histograms() -> st.SearchStrategy[SampleHistogram]:
    numbers = st.floats(-1e12, 1e12)
    edges = st.lists(numbers, min_size=2, max_size=8, unique=True).map(sorted)

    def with_values(edges: list[float]) -> st.SearchStrategy[SampleHistogram]:
        size = len(edges) - 1
        values = st.lists(st.floats(0, 1e12), min_size=size, max_size=size)
        kinds = st.sampled_from(("COUNTING", "DENSITY"))
        return st.builds(lambda v, k: SampleHistogram(tuple(edges), tuple(v), k), values, kinds)

    return edges.flatmap(with_values)


def values(attribute_type: AttributeType) -> st.SearchStrategy[Value]:
    """Values of one row of an attribute type."""
    if attribute_type in FILE_TYPES:
        return st.builds(SampleFile, st.binary(max_size=50), st.sampled_from(("", ".png", "a b.tar.gz")))
    strategies: dict[AttributeType, st.SearchStrategy[Value]] = {
        AttributeType.FLOAT: st.floats(),
        AttributeType.INT: st.integers(INT64_MIN, INT64_MAX),
        AttributeType.STRING: texts(),
        AttributeType.BOOL: st.booleans(),
        AttributeType.DATETIME: times(),
        AttributeType.STRING_SET: st.frozensets(texts(), max_size=4).map(lambda s: tuple(sorted(s))),
        AttributeType.FLOAT_SERIES: st.floats(),
        AttributeType.STRING_SERIES: texts(),
        AttributeType.HISTOGRAM_SERIES: histograms(),
    }
    return strategies[attribute_type]


@st.composite
def attributes(
    draw: Callable[[st.SearchStrategy[object]], object],
    types: tuple[AttributeType, ...] = _ALL_TYPES,
    max_rows: int = 8,
) -> SampleAttribute:
    """An attribute of one of these types. Steps come in any order and may repeat."""
    path, kind = draw(paths()), draw(st.sampled_from(types))
    assert isinstance(path, str) and isinstance(kind, AttributeType)
    if not kind.is_series:
        return SampleAttribute(path, kind, (draw(st.builds(Entry, values(kind))),))  # type: ignore[arg-type]
    entries = st.builds(Entry, values(kind), steps(), st.none() | times())
    return SampleAttribute(path, kind, draw(st.lists(entries, max_size=max_rows).map(tuple)))  # type: ignore[arg-type]


def sample_run(
    types: tuple[AttributeType, ...] = _ALL_TYPES, max_attributes: int = 6
) -> st.SearchStrategy[SampleRun]:
    """A run of up to this many attributes, each with a path of its own."""
    several = st.lists(attributes(types), max_size=max_attributes, unique_by=lambda a: a.path).map(tuple)
    keys = st.builds(RunKey, st.just(PROJECT), st.sampled_from(RUN_IDS) | texts(min_size=1))
    return st.builds(SampleRun, keys, several, times())


def with_previews(run: SampleRun) -> st.SearchStrategy[SampleRun]:
    """The run with some points of its metrics being previews."""

    def mark(flags: list[bool]) -> SampleRun:
        marks = iter(flags)
        return run.adapted(
            lambda a: (
                replace(a, entries=tuple(replace(e, preview=next(marks)) for e in a.entries))
                if a.type is AttributeType.FLOAT_SERIES
                else a
            )
        )

    size = run.rows
    return st.lists(st.booleans(), min_size=size, max_size=size).map(mark)


_STEP_SIZES = (
    st.integers(0, 9).map(float),
    st.sampled_from((0.5, 0.25, 0.001, 1e-6, 5e-7, 1.5, 2.000001)),
    st.sampled_from((1e9, 1e12, 2.0**53, 2.0**53 + 2, 1e15 + 0.5, -1.0, -0.5, -1e12)),
    st.sampled_from((2.0**63, 2.0**63 + 2048, 1e19, 2.0**64, 1e300)),
)


def dense_run() -> st.SearchStrategy[SampleRun]:
    """A run of several float series, most of whose steps are shared, of one size or of all sizes."""
    one_size = st.integers(0, len(_STEP_SIZES) - 1).map(lambda n: _STEP_SIZES[n])
    kinds = one_size | st.just(st.one_of(*_STEP_SIZES))

    def series(steps: st.SearchStrategy[float]) -> st.SearchStrategy[SampleRun]:
        entries = st.lists(
            st.builds(Entry, st.floats(), steps, st.none() | times()), min_size=1, max_size=20
        ).map(tuple)
        points = st.lists(entries, min_size=3, max_size=5)
        return points.map(
            lambda found: SampleRun(
                RunKey(PROJECT, "dense"),
                tuple(
                    SampleAttribute(f"series/{n}", AttributeType.FLOAT_SERIES, e) for n, e in enumerate(found)
                ),
            )
        )

    return kinds.flatmap(series)
