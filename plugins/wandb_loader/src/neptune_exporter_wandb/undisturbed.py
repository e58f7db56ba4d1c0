"""Imports wandb without the import hook of pluto-ml, where that is installed too.

pluto-ml 0.0.29 changes `wandb.init` at the first import, so that what is logged to W&B goes to Pluto as well,
or prints a hint that it could. A load copies into W&B alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_HOOK = "pluto._wandb_hook"


@contextmanager
def _without_hook() -> Iterator[None]:
    before = list(sys.meta_path)
    sys.meta_path[:] = [finder for finder in before if type(finder).__module__ != _HOOK]
    try:
        yield
    finally:
        sys.meta_path[:] = before


with _without_hook():
    import wandb as wandb
