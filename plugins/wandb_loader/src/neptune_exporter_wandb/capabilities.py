"""What W&B can hold."""

from __future__ import annotations

from neptune_exporter.contract import SinkCapabilities

CAPABILITIES = SinkCapabilities(
    lowest_step=-(2**63), highest_step=2**63 - 1, largest_integer=2**53, verifies=True
)
"""Points, texts and histograms arrive exactly. Larger integers come as text: what reads JSON rounds them."""
