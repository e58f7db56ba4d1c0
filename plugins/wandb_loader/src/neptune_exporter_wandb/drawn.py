"""What W&B draws: histograms, and media of file series, as values of history rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neptune_exporter.sinks.received import FileToSend, HistogramValue
from neptune_exporter.toolkit.measuring import measured

MOST_BINS = 512
"""wandb 0.31.0 refuses histograms of more bins."""
_TYPES = {"image": "image-file", "video": "video-file", "audio": "audio-file"}
_HEAD = 24


def drawn_histogram(histogram: HistogramValue) -> dict[str, Any] | None:
    """A histogram as W&B draws it, of at most 512 bins; None where it cannot be drawn.

    Neighbouring bins of a histogram of more are drawn as one. The exact numbers are in a file.
    """
    edges, values = np.array(histogram.edges, float), np.array(histogram.values, float)
    if len(values) == 0 or len(edges) != len(values) + 1:
        return None
    if not (np.isfinite(edges).all() and np.isfinite(values).all()):
        return None
    if len(values) > MOST_BINS:
        starts = np.arange(0, len(values), -(-len(values) // MOST_BINS))
        widths = np.diff(edges) if histogram.kind == "DENSITY" else np.ones(len(values))
        sums = np.add.reduceat(values * widths, starts)
        edges = np.append(edges[starts], edges[-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            values = sums / np.diff(edges) if histogram.kind == "DENSITY" else sums
        if not np.isfinite(values).all():
            return None
    return {"_type": "histogram", "values": values.tolist(), "bins": edges.tolist()}


def drawn_media(file: FileToSend, path: Path, shown: str) -> dict[str, Any] | None:
    """What shows an image, a video or a sound; None for other files.

    Args:
        path: Where the file lies.
        shown: Its path within the folder of the run's files.
    """
    if file.kind.media not in _TYPES:
        return None
    with path.open("rb") as opened:
        head = opened.read(_HEAD)
        _, sha256 = measured(opened, head)
    value = {"_type": _TYPES[file.kind.media], "path": shown, "sha256": sha256, "size": file.size}
    if file.kind.media == "image":
        value["format"] = file.kind.extension
        if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
            value |= {
                "width": int.from_bytes(head[16:20], "big"),
                "height": int.from_bytes(head[20:24], "big"),
            }
    return value
