"""How much memory a benchmark took."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_megabytes(process: int | str = "self") -> float:
    """The most that a process ever held, in MB of 1,000,000 bytes. Of other processes only Linux tells it.

    `ru_maxrss` of a child begins with the peak of its parent, so Linux is asked elsewhere.
    """
    status = Path(f"/proc/{process}/status")
    if status.exists():
        line = next(each for each in status.read_text().splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6
