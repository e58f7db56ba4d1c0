"""Servers of this build, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def serving(*command: str) -> Iterator[dict[str, Any]]:
    """A server that ends when its input does: what it says of itself."""
    line = [sys.executable, "-m", *command]
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(30)


def pluto_variables(ready: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a load, from what a local Pluto says of itself."""
    urls = {name: url for name, url in ready.items() if name.startswith("url")}
    variables = {name.upper().replace("URL", "PLUTO_URL"): url for name, url in urls.items()}
    return {**variables, "PLUTO_API_KEY": ready["api_key"], "NO_PROXY": "127.0.0.1"}
