"""Registers the loader. Imports nothing heavy: the loading code is imported by the factory."""

from __future__ import annotations

from collections.abc import Iterable

from neptune_exporter.contract import LoadOptions, MissingDependencyError, Sink, SinkSpec, hookimpl
from neptune_exporter_wandb.settings import CAPABILITIES, WandbSettings, divided


def make_sink(settings: WandbSettings, options: LoadOptions) -> Sink:
    """The factory of the loader. Raises MissingDependencyError if wandb cannot be imported, and what
    `connected` raises."""
    try:
        import neptune_exporter_wandb.undisturbed  # noqa: F401  # before anything else imports wandb
        from neptune_exporter_wandb.loader import connected
    except ImportError as error:  # wandb itself, or its protobuf classes
        raise MissingDependencyError(
            f"the loader wandb needs the package wandb ({error}): pip install wandb"
        ) from error
    return connected(settings, options)


@hookimpl
def neptune_exporter_sinks() -> Iterable[SinkSpec]:
    return [
        SinkSpec(
            name="wandb",
            summary="Weights & Biases: run folders for `wandb sync`, or sent at once",
            factory=make_sink,
            settings=WandbSettings,
            capabilities=CAPABILITIES,
            divided=divided,
        )
    ]
