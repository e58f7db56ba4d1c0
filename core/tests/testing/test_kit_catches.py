"""The kit finds what is wrong: each wrong sink and source fails exactly the tests of its fault."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import pytest

from neptune_exporter import dataset
from neptune_exporter.testing import MemoryRun, SinkConformance, SourceConformance, themed_runs

pytest_plugins = ["pytester"]

_HERE = Path(__file__).parent
_CONFORMANCE = {"wrong_sinks.py": SinkConformance, "wrong_sources.py": SourceConformance}

# pytester forgets what a run imports: what is imported before (by pyarrow even pandas) it keeps.
_WARM_UP = [MemoryRun(run) for run in themed_runs("types")]
for _module in pkgutil.walk_packages(dataset.__path__, f"{dataset.__name__}."):
    importlib.import_module(_module.name)
# While it forgets, a thread that a run has left may import a module a second time.
_MODULES = dict(sys.modules)

_VERIFIES = {"verifies_what_it_loaded[False]", "verifies_what_it_loaded[True]"}
_OUTSIDE = ("../outside", "/etc/hostname", "a/../../outside", "C:\\outside")

WRONG_SINKS: dict[str, tuple[str, set[str]]] = {
    "TestDropsARow": (
        "'logs/stdout': step 4.000000 at 2024-01-01T00:00:04+00:00 = 'epoch 4' did not arrive",
        {
            "every_row_arrives[types]",
            "takes_exports_of_other_tools[types]",
            "takes_runs_from_several_threads",
            "runs_stay_apart",
            "loading_again_changes_nothing[types]",
            "a_run_that_grew_is_not_taken_for_loaded",
            "puts_the_prefix_before_names",
            *(f"what_did_not_arrive_is_not_taken_for_loaded[{what}]" for what in ("points", "files")),
            *(f"completes_what_was_interrupted[{n}]" for n in (0, 1, 7, 20)),
            *_VERIFIES,
        },
    ),
    "TestMergesNames": (
        "'a.b': step 0.000000 at 2024-01-01T00:00:00+00:00 = 0.0 did not arrive",
        {"every_row_arrives[names]", "takes_exports_of_other_tools[names]", "runs_stay_apart", *_VERIFIES},
    ),
    "TestLosesNan": (
        "'mixed': step 1.000000 at 2024-01-01T00:00:01+00:00 = nan did not arrive",
        {"every_row_arrives[non-finite]", "runs_stay_apart", *_VERIFIES},
    ),
    "TestLosesNanAsDeclaredButInSilence": (
        "rows did not arrive, and no loss counts them",
        {"every_row_arrives[non-finite]", "runs_stay_apart"},
    ),
    "TestLosesNanAsDeclaredAndSaysSo": ("", set()),
    "TestSaysLostWhatItMayNotLose": (
        "by the declared capabilities nothing of it may be lost",
        {"every_row_arrives[non-finite]", "runs_stay_apart"},
    ),
    "TestRoundsSteps": (
        "'metric': step 0.290000 at 2024-01-01T00:00:02+00:00 = 2.0 did not arrive",
        {
            *(f"every_row_arrives[steps-{s}]" for s in ("fine", "fractional", "millionth")),
            "takes_exports_of_other_tools[steps-fractional]",
            "runs_stay_apart",
            "multiplies_steps_exactly[1000]",
            "multiplies_steps_exactly[1000000]",
            "tells_steps_that_a_multiplier_leaves_fractional",
            "verifies_what_it_loaded[True]",
        },
    ),
    "TestSetsEarlyTimesInSilence": (
        "1 rows did not arrive, and no loss counts them",
        {"tells_times_before_1970"},
    ),
    "TestSendsTwice": (
        "is in the target only",
        {
            *(f"loading_again_changes_nothing[{theme}]" for theme in ("types", "steps-duplicate", "forks")),
            "a_run_that_grew_is_not_taken_for_loaded",
        },
    ),
    "TestTakesOneRunForAnother": (
        "several runs are one in the target",
        {
            "every_row_arrives[identities]",
            "every_row_arrives[models]",
            "runs_stay_apart",
            "takes_runs_from_several_threads",
            "a_run_that_grew_is_not_taken_for_loaded",
        },
    ),
    "TestForgetsParents": (
        "the parent is None, not 'acme/vision:fork-root'",
        {
            "every_row_arrives[forks]",
            "takes_exports_of_other_tools[forks]",
            "loading_again_changes_nothing[forks]",
            "runs_stay_apart",
        },
    ),
    "TestTakesMissingFilesForEmpty": (
        "a file came from nowhere",
        {"a_missing_file_is_reported", *(f"a_file_outside_is_never_read[{path}]" for path in _OUTSIDE)},
    ),
}

_DELIVERS = {"delivers_exactly_what_it_holds", "delivers_previews_if_asked"}
_AGAIN = {
    "delivers_the_same_again",
    "delivers_the_same_run_by_run",
    "can_be_read_by_several_threads",
    "survives_a_reader_that_goes_away",
    "delivers_the_same_with_what_it_wanted_back",
}
_SINGLED_OUT = {
    "reads_only_attributes_of_a_pattern",
    "reads_only_named_attributes",
    "reads_again_what_had_failed",
}
_REQUESTS = {
    *_SINGLED_OUT,
    "reads_what_is_not_covered_yet",
    "reads_nothing_that_is_covered",
    *(f"reads_only_the_class_asked_for[{c}]" for c in ("parameters", "metrics", "series", "files")),
}

WRONG_SOURCES: dict[str, tuple[str, set[str]]] = {
    "TestRoundsIntegers": (
        "missing: 'int/9007199254740993' (int) = 9007199254740993",
        {*_DELIVERS, "reads_only_the_class_asked_for[parameters]"},
    ),
    "TestTurnsNanIntoNull": (
        "has values in [], not just in float_value",
        {
            *_DELIVERS,
            *_AGAIN,
            "reads_only_the_class_asked_for[parameters]",
            "reads_only_the_class_asked_for[metrics]",
            "reads_only_attributes_of_a_pattern",
            "reads_what_is_not_covered_yet",
        },
    ),
    "TestDropsNan": (
        "missing: 'mixed' (float_series) step 1.000000 at 2024-01-01T00:00:01.000+00:00 = nan",
        {
            *_DELIVERS,
            "reads_only_the_class_asked_for[parameters]",
            "reads_only_the_class_asked_for[metrics]",
            "reads_only_attributes_of_a_pattern",
            "reads_what_is_not_covered_yet",
        },
    ),
    "TestDeliversPhantoms": (
        "a row of 'of another run' (string) has values in [], not just in string_value",
        {*_DELIVERS, *_AGAIN, *_REQUESTS},
    ),
    "TestTakesRun10ForRun1": ("listed in spite of", {"patterns_match_whole_ids"}),
    "TestIgnoresTheRequest": ("too much: ", {"delivers_previews_if_asked", *_REQUESTS}),
    "TestMergesDuplicateSteps": (
        "missing: 'histogram' (histogram_series) step 1.000000 at 2024-01-01T00:00:02.000+00:00",
        {
            *_DELIVERS,
            *_SINGLED_OUT,
            *(f"reads_only_the_class_asked_for[{c}]" for c in ("metrics", "series", "files")),
            "reads_what_is_not_covered_yet",
        },
    ),
    "TestBuildsFilePaths": (
        "was never stored through the FileWriter",
        {
            *_DELIVERS,
            *_AGAIN,
            *_SINGLED_OUT,
            "reads_only_the_class_asked_for[files]",
            "reads_what_is_not_covered_yet",
        },
    ),
    "TestReadsOnlyWhatIsNew": (
        "reads differently the second time",
        {"delivers_the_same_with_what_it_wanted_back"},
    ),
    "TestIsDoneTwice": ("after its RunDone", {*_DELIVERS, *_AGAIN, *_REQUESTS}),
}


_COUNTS = "counts_what_it_sent"
_BREAKS = "completes_what_was_broken_at_any_line"
CARELESS_SINKS: dict[str, tuple[str, str]] = {
    "TestCompletesBeforeItsFiles": ("broken at careless_sinks.py", _BREAKS),
    "TestVerifiesMetricsOnly": ("'config/optimizer' differs", "verification_looks_at_everything[parameters]"),
    "TestLeavesForksBehind": ("the parent is", "a_fork_follows_a_parent_that_is_loaded_again"),
    "TestLeavesRunsRunning": ("it is shown as running, though it has ended", _BREAKS),
    "TestInventsCounts": ("counts ['metric points']", _COUNTS),
    "TestLoadsTwiceAtOnce": ("is in the target only", "two_loads_at_once_load_a_run_once"),
    "TestHoardsRows": ("bytes of memory for each row", "memory_does_not_grow_with_the_run"),
}
"""What the kit must say of each, and in which of its tests."""


def _run(pytester: pytest.Pytester, module: str, name: str) -> tuple[set[str], str]:
    """Names of the tests that fail, and all that they say."""
    sys.modules.update(_MODULES)
    others = " or ".join(sorted({test.partition("[")[0] for _, test in CARELESS_SINKS.values()} - {_COUNTS}))
    result = pytester.inline_run(
        "-q", "-p", "no:cacheprovider", f"{_HERE / module}::{name}", "-k", f"not ({others})"
    )
    passed, _, failed = result.listoutcomes()
    tests = [name for name in dir(_CONFORMANCE[module]) if name.startswith("test_")]
    assert len(passed) + len(failed) > len(tests) - 14, "the conformance tests did not run"
    names = {report.nodeid.partition("::test_")[2] for report in failed}
    return names, "\n".join(report.longreprtext for report in failed)


@pytest.mark.parametrize("name", CARELESS_SINKS)
def test_a_careless_sink_fails(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.syspath_prepend(_HERE)
    says, test = CARELESS_SINKS[name]
    result = pytester.inline_run(
        "-q", "-p", "no:cacheprovider", f"{_HERE / 'careless_sinks.py'}::{name}", "-k", test.partition("[")[0]
    )
    _, _, failed = result.listoutcomes()
    assert test in {report.nodeid.partition("::test_")[2] for report in failed}
    assert says in "\n".join(report.longreprtext for report in failed)


@pytest.mark.parametrize("name", WRONG_SINKS)
def test_a_wrong_sink_fails(pytester: pytest.Pytester, name: str) -> None:
    says, expected = WRONG_SINKS[name]
    failed, report = _run(pytester, "wrong_sinks.py", name)
    assert {f.replace("\\\\", "\\") for f in failed} == expected
    assert says in report


@pytest.mark.parametrize("name", WRONG_SOURCES)
def test_a_wrong_source_fails(pytester: pytest.Pytester, name: str) -> None:
    says, expected = WRONG_SOURCES[name]
    failed, report = _run(pytester, "wrong_sources.py", name)
    assert failed == expected
    assert says in report
