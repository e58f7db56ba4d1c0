"""Every page in a real browser on the demo's export: what real clients logged, as the demo exports it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from .browsing import CHROMIUM, DRAWN, NO_BROWSER, Served, Watched

JOURNEY = Path(__file__).parents[3] / "examples/journey"
FIRST, FORK, OF_2X = (f"run%3A10%3Ademo%2Fmoons%3Amoons-{name}" for name in ("1", "2", "2x"))
pytest.importorskip("neptune_exporter_offline", reason="the demo is exported by the plugin `offline`")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_BROWSER)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo's export, made by the demo."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(JOURNEY)
        importlib.import_module("journey").train_and_export(folder)
    served = Served(folder / "exports")
    yield served
    served.stop()


def see_runs_and_compare(page: Page) -> None:
    expect(page.locator("table.runs tbody tr")).to_have_count(3)
    for box in page.locator("table.runs tbody input").all():
        box.check()
    page.click("text=compare 3")
    charts = page.locator(DRAWN)
    expect(charts).to_have_count(2)
    expect(charts.first.locator(".chart-note")).to_have_text("dashed: logged by moons-1")
    page.click("text=Parameters side by side")
    expect(page.locator(".parameters tr.differs", has_text="config/rate")).to_contain_text("0.1")


def see_run(watched: Watched) -> None:
    page = watched.open(f"#/run?run={FORK}")
    expect(page.locator(".lineage")).to_have_text("moons-1 —step 25→ moons-2")
    expect(page.locator(".leaf[title='config/seed'] .leaf-value")).to_have_text("9007199254740993")
    page.get_by_role("tab", name="Texts").click()
    expect(page.locator(".log-text").first).to_have_text(re.compile(r"epoch \d+: \d\.\d{4}"))
    page.get_by_role("tab", name="Histograms").click()
    expect(page.locator("output.chart-note")).to_contain_text("10 bins from -4 to 4")
    page.get_by_role("tab", name="Media").click()
    picture = page.get_by_alt_text(re.compile("^decision at step "))
    expect(picture).not_to_have_js_property("naturalWidth", 0)
    page.get_by_role("tab", name="Files").click()
    expect(page.locator("table.files tbody tr")).to_have_count(6)
    watched.check()
    page = watched.open(f"#/run?run={OF_2X}&tab=files")
    row = page.locator("table.files tbody tr", has_text="report")
    row.get_by_role("button", name="read").click()
    expect(page.locator("figure pre")).to_have_text(re.compile(r"^final loss 0\.\d+"))


def test_every_page_shows_what_the_clients_logged(browser: Browser, demo: Served) -> None:
    for width in (1400, 700):
        watched = Watched(browser, demo, width)
        see_runs_and_compare(watched.open("#/runs"))
        watched.check()
        see_run(watched)
        watched.check()
        watched.page.close()
