"""What the built-in reporters write of given records."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any

import pytest

from neptune_exporter.contract import (
    DatasetError,
    DatasetSummary,
    ExportedRun,
    ProjectSummary,
    Reporter,
    RunSummary,
    StepStatistics,
    TypeCount,
)
from neptune_exporter.contract.specs import ReporterSpec
from neptune_exporter.model import AttributeType, RunKey, RunKind
from neptune_exporter.plugins import PluginRegistry
from neptune_exporter.reporters.table import size, table

TIME = datetime(2024, 5, 1, 12, 0, tzinfo=timezone(timedelta(hours=2)))


def summary() -> DatasetSummary:
    whole = RunSummary(
        RunKey("acme/vision", "RUN-1"),
        "complete",
        {
            AttributeType.FLOAT: TypeCount(2, 2),
            AttributeType.FLOAT_SERIES: TypeCount(3, 12_345_678_901_234_567),
        },
        StepStatistics(-0.5, 1_714_564_800_000.0, 4),
        TIME,
        TIME + timedelta(days=1),
        data_bytes=9_007_199_254_740_993,
        file_bytes=1_500,
        files=2,
        source="memory 1",
    )
    model = RunSummary(
        RunKey("acme/vision", "VIS-MOD", RunKind.MODEL),
        "damaged",
        {AttributeType.FLOAT: TypeCount(1, 1)},
        StepStatistics(float("nan"), float("inf"), 1),
        None,
        None,
        data_bytes=10,
        file_bytes=0,
        files=0,
        failures=3,
        problems=["part 0 is cut short"],
        notes=["only what was not yet sent"],
    )
    project = ProjectSummary("acme/vision", [whole, model])
    return DatasetSummary("/d", "/f", [project, ProjectSummary("acme/empty", [])], ["a stray folder"])


def needless(key: RunKey) -> ExportedRun:
    pytest.fail("no single run is needed")


def gone(key: RunKey) -> ExportedRun:
    raise DatasetError(f"{key} is gone")


def written(name: str, of: DatasetSummary) -> str:
    spec = PluginRegistry.discover(builtin_only=True).select(ReporterSpec, name)
    reporter: Reporter = spec.factory(spec.settings())
    out = io.StringIO()
    reporter.write(of, gone if name == "html" else needless, out)
    return out.getvalue()


def test_json_holds_every_number_exactly() -> None:
    document = json.loads(written("json", summary()), parse_constant=pytest.fail)
    assert document["totals"] == {
        "projects": 2,
        "runs": 2,
        "attributes": 6,
        "rows": 12_345_678_901_234_570,
        "files": 2,
        "data_bytes": 9_007_199_254_741_003,
        "file_bytes": 1_500,
    }
    whole, model = document["projects"][0]["runs"]
    assert whole["types"]["float_series"] == {"attributes": 3, "rows": 12_345_678_901_234_567}
    assert whole["steps"] == {"minimum": -0.5, "maximum": 1_714_564_800_000, "count": 4}
    assert whole["first_time"] == "2024-05-01T10:00:00+00:00"
    assert (model["kind"], model["state"], model["failures"]) == ("model", "damaged", 3)
    assert model["steps"] == {"minimum": "nan", "maximum": "inf", "count": 1}
    assert (model["problems"], model["notes"]) == (["part 0 is cut short"], ["only what was not yet sent"])
    assert document["problems"] == ["a stray folder"]


def test_text_tells_the_same_to_people() -> None:
    lines = written("text", summary()).splitlines()
    assert lines[0] == "2 projects, 1 run, 1 model"
    assert "acme/vision: 1 run, 1 model" in lines
    (series,) = [line.split() for line in lines if line.strip().startswith("float_series")]
    assert series == ["float_series", "3", "12,345,678,901,234,567"]
    (floats,) = [line.split() for line in lines if line.strip().startswith("float ")]
    assert floats == ["float", "3", "3"]
    (run,) = [line for line in lines if line.strip().startswith("RUN-1")]
    for cell in ("complete", "-0.5", "1714564800000", "2024-05-01 10:00:00", "2 (1.50 kB)"):
        assert cell in run
    assert "  acme/vision:VIS-MOD (model): part 0 is cut short" in lines
    assert "  a stray folder" in lines
    assert "  acme/vision:VIS-MOD (model): only what was not yet sent" in lines


@pytest.mark.parametrize("name", ["text", "html"])
def test_problems_of_a_kind_are_one_line_unless_all_are_asked_for(name: str) -> None:
    model = summary().projects[0].runs[1]
    runs = [replace(model, key=RunKey("acme/vision", f"RUN-{number}")) for number in range(9)]
    of = replace(summary(), projects=[ProjectSummary("acme/vision", runs)])
    grouped, each = written(name, of), written(name, replace(of, show_all=True))
    assert "9 runs: part 0 is cut short" in grouped and "9 runs: only what was not yet sent" in grouped
    for run in runs:
        assert f"{run.key}: part 0 is cut short" in each and f"{run.key}: only what was not" in each


def test_html_is_one_page_that_says_the_same_and_runs_nothing() -> None:
    evil = RunSummary(
        RunKey("acme/<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'),
        "complete",
        {},
        StepStatistics(),
        *(None, None, 1, 1, 1),
        notes=["<b>bold</b>"],
    )
    shown = summary()
    page = written(
        "html", replace(shown, projects=[*shown.projects, ProjectSummary(evil.key.project_id, [evil])])
    )
    rows: list[list[str]] = []
    tags: set[str] = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: Any) -> None:
            tags.add(tag)
            if tag == "tr":
                rows.append([])

        def handle_data(self, data: str) -> None:
            if rows:
                rows[-1].append(data.strip())

    Reader().feed(page)
    assert ["float_series", "3", "12,345,678,901,234,567"] in [row[:3] for row in rows]
    (run,) = [row for row in rows if row[0] == "RUN-1"]
    assert run[1:5] == ["complete", "5", "12,345,678,901,234,569", "4"]
    assert any(row[0] == evil.key.run_id for row in rows)
    assert not tags & {"script", "img", "b", "link"}
    assert "http:" not in page and "https:" not in page


def test_an_empty_dataset_is_no_error() -> None:
    nothing = DatasetSummary("/d", "/f", [])
    assert written("text", nothing).startswith("0 projects, 0 runs\n")
    assert json.loads(written("json", nothing))["projects"] == []


def test_a_table_lines_up_and_is_never_cut() -> None:
    text = table(("name", "count"), [("x" * 300, 1_234), ("a\x1b[2Jb\n", None)])
    header, first, second = text.splitlines()
    assert header.endswith("count")
    assert first == "x" * 300 + "  1,234"
    assert second == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}".ljust(300) + "      -"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.00 kB"),
        (12_345, "12.3 kB"),
        (999_999, "1.00 MB"),
        (5 * 10**9, "5.00 GB"),
        (10**18, "1000 PB"),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


def test_reports_do_not_depend_on_the_order_of_types() -> None:
    def types_of(document: Any) -> list[str]:
        return list(document["projects"][0]["runs"][0]["types"])

    assert types_of(json.loads(written("json", summary()))) == ["float", "float_series"]


@pytest.mark.parametrize("reporter", ["text", "html", "json"])
def test_nothing_that_is_no_text_reaches_a_report(reporter: str) -> None:
    odd = "a\x07b\x1b]0;t\x07\u202ec\x9bd\U000e0041"
    run = RunSummary(
        RunKey(odd, odd),
        "complete",
        {},
        StepStatistics(),
        *(None, None, 1, 1, 1),
        name=odd,
        tags=[odd],
        problems=[odd],
        notes=[odd],
        source=odd,
    )
    text = written(reporter, DatasetSummary(odd, odd, [ProjectSummary(odd, [run])], [odd]))
    assert text.replace("\n", "").isprintable()
    if reporter == "json":
        (project,) = json.loads(text)["projects"]
        assert (project["project_id"], project["runs"][0]["tags"]) == (odd, [odd])


def test_names_tags_and_one_project_are_shown() -> None:
    (project, _) = summary().projects
    run = replace(project.runs[0], name="first try", tags=["baseline", "v2"])
    only = DatasetSummary("/d", "/f", [ProjectSummary(project.project_id, [run])])
    for reporter in ("text", "html"):
        text = written(reporter, only)
        assert "1 project," in text and "first try" in text and "baseline, v2" in text


class Terminal(io.StringIO):
    """What is written to a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [40, 80, 400])
def test_tables_fit_into_a_terminal_and_show_everything(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    whole = summary()
    run = replace(whole.projects[0].runs[0], name="a baseline", tags=("moons", "two words"), state="inactive")
    whole = replace(whole, projects=[ProjectSummary("acme/vision", [run, *whole.projects[0].runs[1:]])])
    spec = PluginRegistry.discover(builtin_only=True).select(ReporterSpec, "text")
    out = Terminal()
    spec.factory(spec.settings()).write(whole, needless, out)
    tables = out.getvalue().partition("attribute type")[2].partition("Problems:")[0].splitlines()
    assert max(map(len, tables)) <= columns
    shown = {"RUN-1", "baseline", "moons,", "words", "inactive", "name", "tags", "state", "failed", "3"}
    assert shown <= set(out.getvalue().split())
    if columns == 400:
        assert out.getvalue() == written("text", whole)
