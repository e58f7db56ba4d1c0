"""Every option of the loader; each is a flag, a variable and a TOML key.

The key and the address of W&B are wandb's own: WANDB_API_KEY, WANDB_BASE_URL, `wandb login` (netrc).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from neptune_exporter.contract import SinkCapabilities, setting

CAPABILITIES = SinkCapabilities(
    lowest_step=-(2**63), highest_step=2**63 - 1, largest_integer=2**53, verifies=True
)
"""Points, texts and histograms arrive exactly. Larger integers come as text: what reads JSON rounds them."""


@dataclass(frozen=True)
class WandbSettings:
    """Settings of `--loader wandb`."""

    mode: str | None = setting(
        default=None,
        choices=("offline", "online"),
        help="offline: write folders for `wandb sync`; online: send them, too. Default: online with a key.",
    )
    path: Path = setting(
        default=Path(), env=("WANDB_DIR",), help="Folder in which the folder `wandb` with the runs is made."
    )
    entity: str | None = setting(
        default=None, env=("WANDB_ENTITY",), help="Team or user in W&B; default: that of the key."
    )
    project: str = setting(
        default="{workspace}-{project}",
        help="Project in W&B, by a template of {workspace}, {project} and {experiment}.",
    )
    group: str = setting(default="{experiment}", help="Group of a run, by a template of the same fields.")

    def __post_init__(self) -> None:
        from neptune_exporter.sinks.templates import check_template  # not for a mere --help

        check_template("--wandb-project", self.project)
        check_template("--wandb-group", self.group)


def divided(settings: WandbSettings, processes: int) -> WandbSettings:
    """The settings for each of several processes: unchanged, as each run has its own folder."""
    return settings
