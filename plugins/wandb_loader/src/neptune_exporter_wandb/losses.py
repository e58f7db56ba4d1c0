"""What a run loses where wandb's SDK writes it."""

from __future__ import annotations

from collections.abc import Mapping

from neptune_exporter.sinks.losses import COMMON_MESSAGES

START_TIME = "start-time"
CONSOLE_PAGE = "console-page"
STEP_AXIS = "step-axis"

MESSAGES: Mapping[str, str] = {
    **COMMON_MESSAGES,
    START_TIME: "wandb's SDK stores the time of the load as start and duration; the config has Neptune's",
    CONSOLE_PAGE: "wandb's SDK stores no line with its time: not on the page Logs, only in the run's tables",
    STEP_AXIS: "wandb's SDK takes * in a name for a pattern: the chart's x axis is W&B's step, not Neptune's",
}
