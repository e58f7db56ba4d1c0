"""Imports wandb without what others do at that moment.

wandb 0.31.0 counts what its API is used for, and a thread sends the counts to the server of the settings, by
default the vendor's. That is off here, unless WANDB_ERROR_REPORTING is set.

pluto-ml 0.0.29, where it is installed, changes `wandb.init` at the first import, so that what is logged to
W&B goes to Pluto as well, or prints a hint that it could. A load copies into W&B alone.
"""

from __future__ import annotations

import os
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


os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
with _without_hook():
    import wandb as wandb
