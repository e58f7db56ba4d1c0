"""Registers the loader. Imports nothing heavy: the loading code is imported by the factory."""

from __future__ import annotations

from collections.abc import Iterable

from neptune_exporter.contract import LoadOptions, Sink, SinkCapabilities, SinkSpec, hookimpl
from neptune_exporter_wandb.settings import WandbSettings

CAPABILITIES = SinkCapabilities(
    lowest_step=-(2**63), highest_step=2**63 - 1, largest_integer=2**53, verifies=True
)
"""Points, texts and histograms arrive exactly. Larger integers come as text: what reads JSON rounds them."""


def make_sink(settings: WandbSettings, options: LoadOptions) -> Sink:
    """The factory of the loader.

    Raises:
        UsageError: a setting is wrong.
        AuthenticationError: online, and W&B refused the key or there is none.
        SinkError: online, and the server cannot be reached.
    """
    from neptune_exporter_wandb.loader import WandbLoader

    return WandbLoader.connected(settings, options)


@hookimpl
def neptune_exporter_sinks() -> Iterable[SinkSpec]:
    return [
        SinkSpec(
            name="wandb",
            summary="Weights & Biases: run folders for `wandb sync`, or sent at once",
            factory=make_sink,
            settings=WandbSettings,
            capabilities=CAPABILITIES,
        )
    ]
