"""What a person sees of values that no line can show, of logs, and of a dataset that grows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import (
    SampleAttribute,
    SampleHistogram,
    SampleRun,
    float_series,
    histogram_series,
    parameter,
    string_series,
)

from .browsing import CHROMIUM, DRAWN, NO_BROWSER, Served, Watched

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_BROWSER)
NAN, INFINITY = float("nan"), float("inf")
PLAIN, ODD, FORK, MANY = (f"run%3A4%3Aacme%3A{name}" for name in ("plain", "odd", "fork", "many"))
METRICS = [f"metric-{number}" for number in range(8)]


def export(folder: Path, *runs: tuple[str, tuple[SampleAttribute, ...]]) -> Path:
    source = memory_source_spec(MemorySource([SampleRun(RunKey("acme", name), made) for name, made in runs]))
    export_runs(source, None, ExportOptions((), folder / "data", folder / "files"), Progress())
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A run without anything odd; one with a gap, NaN and infinities; and a fork of the first."""
    hole = [(float(step), 0.0) for step in range(100) if not 30 <= step < 70]
    odd = [(0.5, 1.0), (1.5, NAN), (2.5, INFINITY), (3.5, -INFINITY), (4.5, 1.0), (4.5, 2.0)]
    bins = SampleHistogram((0.0, 1.0, 2.0), (3.0, 4.0))
    served = Served(
        export(
            tmp_path_factory.mktemp("seen"),
            (
                "plain",
                (
                    parameter("config/lr", 0.1),
                    parameter("config/same", 1),
                    float_series("gap", [(float(step), 10.0) for step in range(100)]),
                    string_series("log", [(0, "\x1b[31mred\x1b[0m one"), (1, "two"), (2, "three")]),
                    histogram_series("hist", [(0, bins), (1, bins), (2, bins)]),
                ),
            ),
            (
                "odd",
                (
                    parameter("config/lr", 0.2),
                    parameter("config/same", 1),
                    float_series("gap", hole),
                    float_series("odd", odd),
                ),
            ),
            (
                "fork",
                (
                    float_series("gap", [(float(step), 20.0) for step in range(50, 100)]),
                    parameter(SysAttribute.FORK_PARENT, "plain"),
                    parameter(SysAttribute.FORK_STEP, 49.0),
                ),
            ),
            ("many", tuple(float_series(path, [(0.0, 1.0), (1.0, 2.0)]) for path in METRICS)),
        )
    )
    yield served
    served.stop()


@pytest.fixture
def watched(browser: Browser, served: Served) -> Iterator[Watched]:
    found = Watched(browser, served, 1400)
    yield found
    found.page.close()


def plot(page: Page, metric: str) -> Locator:
    """The drawing of a metric."""
    chart = page.locator(DRAWN).filter(has=page.locator(f"figcaption[title='{metric}']"))
    return chart.locator(".u-over")


def inked(page: Page, metric: str, share: float, low: float) -> bool:
    """Whether a line is drawn at this share of the width of a chart, in its lower part from `low` on."""
    canvas = plot(page, metric).locator("xpath=..").locator("canvas")
    drawn = canvas.evaluate(
        """(canvas, [share, low]) => {
          const over = canvas.parentElement.querySelector(".u-over");
          const ratio = canvas.width / canvas.clientWidth;
          const x = Math.round((over.offsetLeft + share * over.clientWidth) * ratio);
          const top = Math.round((over.offsetTop + low * over.clientHeight) * ratio);
          const height = Math.round((1 - low) * over.clientHeight * ratio);
          const {data} = canvas.getContext("2d").getImageData(x, top, 1, height);
          for (let i = 0; i < data.length; i += 4) {
            const [r, g, b, a] = data.slice(i, i + 4);
            if (a > 100 && Math.max(r, g, b) - Math.min(r, g, b) > 60) return true;
          }
          return false;
        }""",
        [share, low],
    )
    return bool(drawn)


def test_no_line_is_drawn_through_a_gap_beside_another_run(watched: Watched) -> None:
    page = watched.open(f"#/compare?run={PLAIN}&run={ODD}")
    plot(page, "gap").wait_for()
    watched.check()
    assert inked(page, "gap", 0.13, 0.5) and inked(page, "gap", 0.87, 0.5)
    assert not any(inked(page, "gap", share, 0.5) for share in (0.35, 0.46, 0.54, 0.65))


def test_nan_and_infinities_are_named_under_the_pointer(watched: Watched) -> None:
    page = watched.open(f"#/run?run={ODD}&tab=charts&find=odd")
    over = plot(page, "odd")
    box = over.bounding_box()
    assert box is not None
    chart = page.locator(DRAWN)
    expect(chart.locator(".chart-note")).to_have_text("✕ NaN▲ ∞▼ −∞")
    for share, up, told in (
        (1 / 4, 9, "NaN"),
        (2 / 4, box["height"] - 4, "Infinity"),
        (3 / 4, 4, "-Infinity"),
    ):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] - up)
        expect(chart.locator(".tip-value")).to_have_text(told)
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 5)
    expect(chart.locator(".tip")).to_contain_text("step 4.5")
    expect(chart.locator(".tip-value")).to_have_text("2")
    watched.check()


def test_charts_are_read_from_the_first_to_the_last(watched: Watched) -> None:
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.extend(re.findall("attribute=([^&]+)", request.url)))
    page = watched.open(f"#/run?run={MANY}&tab=charts")
    expect(page.locator(DRAWN)).to_have_count(len(METRICS))
    assert asked == METRICS
    watched.check()


def test_a_chart_that_is_not_read_yet_says_so(watched: Watched) -> None:
    watched.page.route("**/api/points*", lambda route: None)  # never answered
    page = watched.open(f"#/run?run={ODD}&tab=charts&find=odd")
    body = page.locator(".chart-body")
    expect(body).to_have_attribute("aria-busy", "true")
    assert "reading" in body.evaluate("body => getComputedStyle(body, '::before').content")
    expect(page.locator("#progress")).to_be_visible()
    page.unroute("**/api/points*")
    page.keyboard.press("x")  # asks for another axis instead
    plot(page, "odd").wait_for()
    expect(body).to_have_attribute("aria-busy", "false")
    expect(page.locator("#progress")).to_be_hidden()
    watched.check()


def test_a_fork_shows_its_parents_points_as_such(watched: Watched) -> None:
    page = watched.open(f"#/run?run={FORK}&tab=charts")
    expect(page.locator(".lineage")).to_have_text("plain —step 49→ fork")
    expect(page.locator(f"{DRAWN} .chart-note")).to_have_text("dashed: logged by plain")
    assert page.locator(DRAWN).get_attribute("data-points") == "100"
    page.get_by_label("with parents").uncheck()
    expect(page.locator(".chart[data-points='50']")).to_be_visible()
    watched.check()


def test_differences_come_first_side_by_side(watched: Watched) -> None:
    page = watched.open(f"#/compare?run={PLAIN}&run={ODD}&parameters=1")
    rows = page.locator(".parameters tbody tr")
    expect(rows.first).to_have_text("config/lr0.10.2")
    expect(rows.last).to_have_text("config/same11")
    page.get_by_label("only differences").check()
    expect(rows).to_have_count(1)
    watched.check()


def test_logs_are_searched_and_the_step_of_a_histogram_is_in_the_address(watched: Watched) -> None:
    page = watched.open(f"#/run?run={PLAIN}&tab=texts&q=/^.*e$/")
    expect(page.locator(".log-text")).to_have_text(["red one", "three"])
    page = watched.open(f"#/run?run={PLAIN}&tab=histograms&step:hist=1")
    expect(page.locator("output.chart-note")).to_contain_text("step 1 · 2 bins from 0 to 2")
    page.get_by_label("step of hist").press("ArrowRight")
    expect(page.locator("output.chart-note")).to_contain_text("step 2")
    assert "step%3Ahist=2" in page.url
    watched.check()


def test_keys_and_the_dark_theme(watched: Watched) -> None:
    page = watched.open("#/compare?run=" + PLAIN)
    plot(page, "gap").wait_for()
    page.keyboard.press("x")
    expect(page.get_by_label("x axis")).to_have_value("relative")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.wait_for_selector("table.runs tbody tr >> nth=2")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.reload()
    page.wait_for_selector("[data-theme=dark] table.runs tbody tr")
    watched.check()


def test_a_run_that_is_exported_meanwhile_appears(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    served = Served(tmp_path)
    try:
        watched = Watched(browser, served, 700)
        watched.page.clock.install()
        page = watched.open("#/runs")
        expect(page.get_by_text("The dataset holds no run yet.")).to_be_visible()
        export(tmp_path, ("first", (parameter("config/lr", 0.1),)))
        served.app.state.table.read()
        page.clock.run_for(11_000)
        expect(page.locator("table.runs tbody tr")).to_have_count(1)
        watched.check()
        page.close()
    finally:
        served.stop()
