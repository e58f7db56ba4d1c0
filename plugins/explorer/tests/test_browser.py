"""The pages in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

import neptune_exporter
from neptune_exporter_explorer.app import make_app

CHROMIUM = shutil.which("chromium")
EXISTING = Path(__file__).parents[3] / "tests/data/existing-export"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
RUN_A = "run%3A11%3Aacme%2Fvision%3Arun-a"
RUN_B = "run%3A11%3Aacme%2Fvision%3Arun-b"
WIDTHS = (1400, 700)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no browser: apt-get install chromium")


class Served:
    """The pages of a dataset at an address of this machine."""

    def __init__(self, folder: Path) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        self.address = f"http://{host}/"
        self.app = make_app(neptune_exporter.open_dataset(folder), {host})
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_level="error", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]})
        self._thread.start()
        self.app.state.table.wait()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)

    def stop(self) -> None:
        self.app.state.table.stop()
        self._server.should_exit = True
        self._thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


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


class Watched:
    """A page, and everything that went wrong or was asked of another machine."""

    def __init__(self, browser: Browser, served: Served, width: int) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900})
        self.page.set_default_timeout(30_000)
        self.served = served
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: self._console(message))
        self.page.on("request", lambda request: self._request(request.url))
        self.page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)

    def _request(self, url: str) -> None:
        if not url.startswith((self.served.address, "data:", "blob:")):
            self.wrong.append(f"asked {url}")

    def open(self, hash: str) -> Page:
        self.page.goto("about:blank")
        self.page.goto(self.served.address + hash)
        return self.page

    def check(self) -> None:
        """Nothing went wrong, and the page is no wider than the window."""
        assert not self.wrong
        too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not self.page.evaluate(too_wide)


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
    page.wait_for_selector(".chart[data-drawn]:not([data-drawn='0'])")
    assert page.url.count("run=") == 2
    watched.check()


def test_curves_are_drawn_and_the_pointer_tells_exact_values(watched: Watched) -> None:
    page = watched.open(f"#/compare?run={RUN_A}&run={RUN_B}")
    chart = page.locator(".chart[data-drawn]:not([data-drawn='0'])").first
    box = chart.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector(".tip:not([hidden]) .tip-value")
    text = page.locator(".tip:not([hidden])").first.inner_text()
    assert re.search(r"run-[ab]", text) and "step" in text
    watched.check()


def test_a_zoom_is_in_the_address_and_the_link_opens_it(watched: Watched) -> None:
    page = watched.open(f"#/run?run={RUN_A}&tab=charts")
    box = page.locator(".chart[data-drawn]:not([data-drawn='0']) .u-over").first.bounding_box()
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
