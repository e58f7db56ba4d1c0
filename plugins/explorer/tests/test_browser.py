"""The pages in a real browser, on the earlier tool's export and on one with hostile names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .browsing import CHROMIUM, DRAWN, NO_BROWSER, Served, Watched

EXISTING = Path(__file__).parents[3] / "tests/data/existing-export"
RUN_A = "run%3A11%3Aacme%2Fvision%3Arun-a"
RUN_B = "run%3A11%3Aacme%2Fvision%3Arun-b"
WIDTHS = (1400, 700)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_BROWSER)


@pytest.fixture(scope="module")
def existing() -> Iterator[Served]:
    served = Served(EXISTING)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def hostile(hostile_folder: Path) -> Iterator[Served]:
    served = Served(hostile_folder)
    yield served
    served.stop()


@pytest.fixture(params=WIDTHS)
def watched(browser: Browser, existing: Served, request: pytest.FixtureRequest) -> Iterator[Watched]:
    found = Watched(browser, existing, request.param)
    yield found
    found.page.close()


def test_runs_are_filtered_sorted_chosen_and_compared(watched: Watched) -> None:
    page = watched.open("#/runs")
    page.wait_for_selector("table.runs tbody tr >> nth=4")
    page.keyboard.press("/")
    page.keyboard.type("run-")
    expect(page.locator("table.runs tbody tr")).to_have_count(2)
    expect(page).to_have_url(re.compile("q=run-"))
    for box in page.locator("table.runs tbody input").all():
        box.check()
    watched.check()
    page.keyboard.press("Escape")
    page.click("text=compare 2")
    page.wait_for_selector(DRAWN)
    assert page.url.count("run=") == 2
    watched.check()


def test_curves_are_drawn_and_the_pointer_tells_exact_values(watched: Watched) -> None:
    page = watched.open(f"#/compare?run={RUN_A}&run={RUN_B}")
    chart = page.locator(DRAWN).first
    box = chart.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector(".tip:not([hidden]) .tip-value")
    text = page.locator(".tip:not([hidden])").first.inner_text()
    assert re.search(r"run-[ab]", text) and "step" in text
    watched.check()


def test_a_zoom_is_in_the_address_and_the_link_opens_it(watched: Watched) -> None:
    page = watched.open(f"#/run?run={RUN_A}&tab=charts")
    box = page.locator(f"{DRAWN} .u-over").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 60, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile("low="))
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("text=whole range")
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("low="))
    watched.check()


@pytest.mark.parametrize("tab", ["overview", "charts", "texts", "histograms", "media", "files"])
def test_every_tab_of_a_run_opens(watched: Watched, tab: str) -> None:
    page = watched.open(f"#/run?run={RUN_A}&tab={tab}")
    page.wait_for_selector(".tab > *")
    page.wait_for_load_state("networkidle")
    assert page.locator("h1").inner_text().startswith("run-a")
    assert [w for w in watched.wrong if "404" not in w] == []  # a file that is missing says so on the page


def test_a_missing_file_is_marked_in_the_list(watched: Watched) -> None:
    page = watched.open(f"#/run?run={RUN_A}&tab=files")
    expect(page.locator(".count")).to_have_text("5 files, 1 missing")
    expect(page.locator("table.files tr", has_text="artifacts/gone")).to_contain_text("missing")
    watched.check()


def test_hostile_names_and_texts_are_data(browser: Browser, hostile: Served) -> None:
    watched = Watched(browser, hostile, 1400)
    page = watched.open("#/runs")
    page.wait_for_selector("table.runs tbody a")
    watched.check()
    addresses = [link.get_attribute("href") or "" for link in page.locator("table.runs tbody a").all()]
    assert addresses
    for address in addresses:
        for tab in ("overview", "charts", "texts", "histograms", "media", "files", "source"):
            page = watched.open(f"{address}&tab={tab}")
            page.wait_for_selector(".tab > *")
            page.wait_for_load_state("networkidle")
        page = watched.open(address.replace("#/run?", "#/compare?parameters=1&"))
        page.wait_for_selector(".parameters td")
        watched.check()
    assert not page.evaluate("'attacked' in window")
    page.close()
