"""The pages of a dataset in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Browser, Page

import neptune_exporter
from neptune_exporter_explorer.app import make_app

CHROMIUM = shutil.which("chromium")
NO_BROWSER = "there is no browser: apt-get install chromium"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
DRAWN = ".chart[data-drawn]:not([data-drawn='0'])"


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
