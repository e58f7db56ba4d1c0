"""Makes the loader that suits the installed wandb, and whose target can be written."""

from __future__ import annotations

from neptune_exporter.contract import LoadOptions
from neptune_exporter_wandb.formats import unknown_format
from neptune_exporter_wandb.loader import WandbLoader
from neptune_exporter_wandb.server import Server
from neptune_exporter_wandb.settings import WandbSettings


def connected(settings: WandbSettings, options: LoadOptions) -> WandbLoader:
    """A loader, once W&B has answered if runs are sent there.

    Raises:
        UsageError: online, and there is no key; or wandb does not take its own settings.
        AuthenticationError: the server refused the key.
        SinkError: the server cannot be reached.
    """
    server = None if settings.mode == "offline" else Server.found()
    if server is not None and settings.mode is None and server.key is None:
        server = None
    entity = "" if server is None else server.entity()
    reason = unknown_format()
    if reason is None:
        return WandbLoader(settings, options, server, entity)
    from neptune_exporter_wandb.sdk_loader import SdkLoader

    return SdkLoader(reason, settings, options, server, entity)
