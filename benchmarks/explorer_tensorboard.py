"""From the command to the first curves on screen: the explorer against TensorBoard with the same data.

    python -m venv tensorboard && tensorboard/bin/pip install tensorboard google-crc32c
    python benchmarks/explorer_tensorboard.py tensorboard/bin/python [--runs 20 --metrics 20 --points 20000]

Both are looked at by the same browser (Debian's Chromium, driven by Playwright). The time ends when the first
chart shows the coloured lines of runs that were all read. TensorBoard is timed twice: with every point, which
is what the explorer draws from, and as it is by default, with 1,000 points of each series, chosen at random.
Processor time is that of server and browser together.

Run it in an environment of the explorer alone (`explorer[testing]`), as TensorBoard has one of its own: a
package that hooks into every start of Python, as pluto-ml does, adds its own time to that of the command.
"""

from __future__ import annotations

import argparse
import io
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import _looked_at as made
import httpx
import numpy as np
from _processes import processor_seconds
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

LIMIT = 600
COLOURED = 500
"""So many pixels of a chart that are not grey are curves."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass
class Taken:
    """How long it took."""

    seconds: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tensorboard", type=Path, help="the Python of an environment that has TensorBoard")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--metrics", type=int, default=20)
    parser.add_argument("--points", type=int, default=20_000)
    given = parser.parse_args()
    size = given.runs, given.metrics, given.points
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        events, folder = Path(name, "events"), Path(name, "export")
        writer = Path(__file__).with_name("_event_files.py")
        subprocess.run([given.tensorboard, writer, events, *map(str, size)], check=True)
        made.curves(folder, *size)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        ours = explorer(browser, folder, given.runs)
        show("explorer", ours, ours)
        every = f"--samples_per_plugin=scalars={given.points}"
        for what, options in (("TensorBoard, every point", [every]), ("TensorBoard, sampled", [])):
            theirs = tensorboard(browser, given.tensorboard, [f"--logdir={events}", *options], given.runs)
            show(what, theirs, ours)
        browser.close()


def show(what: str, taken: Taken, ours: Taken) -> None:
    ratios = f"{taken.seconds / ours.seconds:.1f} and {taken.processor / ours.processor:.1f} times"
    print(f"{what}: {taken.seconds:.1f} s, {taken.processor:.1f} s of processor time ({ratios} the explorer)")


def explorer(browser: Browser, folder: Path, runs: int) -> Taken:
    program = Path(sys.executable).with_name("neptune-exporter")
    command = [str(program), "view", "--no-browser", "-d", f"{folder}/data", "-f", f"{folder}/files"]
    page, before, begin = opened(browser)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split(" is at ")[1].split()[0]
        names = [quote(f"run:11:acme/curves:run-{run:03}") for run in range(runs)]
        page.goto(f"{address}#/compare?" + "&".join(f"run={name}" for name in names))
        return seen(page, ".chart-body", server, before, begin)


def tensorboard(browser: Browser, python: Path, options: list[str], runs: int) -> Taken:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(python.with_name("tensorboard")), "--port", str(port), *options]
    page, before, begin = opened(browser)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        address = f"http://127.0.0.1:{port}/"
        while read_runs(address) < runs:  # a page that was opened earlier would have to be loaded again
            time.sleep(0.1)
            if time.monotonic() - begin > LIMIT:
                raise SystemExit("TensorBoard did not read the event files")
        page.goto(address)
        return seen(page, "line-chart", server, before, begin)


def read_runs(address: str) -> int:
    """How many runs TensorBoard has read."""
    try:
        return len(httpx.get(f"{address}data/runs").json())
    except (httpx.TransportError, ValueError):
        return 0


def opened(browser: Browser) -> tuple[Page, float, float]:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto("about:blank")
    time.sleep(2)  # the browser starts processes ahead: they are no part of what is measured
    return page, processor_seconds(), time.monotonic()


def seen(
    page: Page,
    chart: str,
    server: subprocess.Popen[str] | subprocess.Popen[bytes],
    before: float,
    begin: float,
) -> Taken:
    """Wait for curves in the first chart, and end the server."""
    page.wait_for_selector(chart, timeout=1000 * LIMIT)
    while coloured(page, chart) < COLOURED:
        if time.monotonic() - begin > LIMIT:
            raise SystemExit(f"no curve was drawn within {LIMIT} s")
        time.sleep(0.05)
    taken = Taken(time.monotonic() - begin, processor_seconds() - before)
    page.close()
    server.terminate()
    server.wait(60)
    return taken


def coloured(page: Page, chart: str) -> int:
    """Pixels of the first chart that are not grey."""
    box = page.locator(chart).first.bounding_box()
    if box is None:
        return 0
    shot = Image.open(io.BytesIO(page.screenshot(clip=box))).convert("RGB")  # type: ignore[arg-type]
    pixels = np.asarray(shot).astype(int)
    return int((pixels.max(axis=2) - pixels.min(axis=2) > 60).sum())


if __name__ == "__main__":
    main()
