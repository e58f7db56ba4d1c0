"""What all loads of one sink share."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neptune_exporter.contract import LoadOptions
from neptune_exporter.model import RunKey, workspace_and_project
from neptune_exporter.sinks.names import digest, printable, shortened
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_pluto.form.section import ContentOptions
from neptune_exporter_pluto.service.api import PlutoApi
from neptune_exporter_pluto.service.storage import Storage
from neptune_exporter_pluto.settings import MAX_NAME, PlutoSettings
from neptune_exporter_pluto.state.cachefile import DEFAULT_NAME, OWNERS_NAME, LineOwners, LoadedCache
from neptune_exporter_pluto.state.journal import FOLDER, Target


@dataclass
class Session:
    """One account, one host, one set of options."""

    api: PlutoApi
    settings: PlutoSettings
    options: LoadOptions
    account: str
    senders: ThreadPoolExecutor
    """Posts requests while others are encoded."""
    uploaders: ThreadPoolExecutor
    storage: Storage
    multipliers: dict[RunKey, Multiplier] = field(default_factory=dict)
    """Of each run, as `prepare` found them."""

    def __post_init__(self) -> None:
        self._loads = 0
        self.with_other_options = 0
        """How many runs stay as an earlier load left them, although this load has other options."""
        self._counting = threading.Lock()
        self.cache = LoadedCache(self.settings.loaded_cache or self.base_dir / DEFAULT_NAME)
        self.owners = LineOwners(self.base_dir / FOLDER / OWNERS_NAME)

    @property
    def base_dir(self) -> Path:
        """The folder of what lets an interrupted load go on."""
        return self.settings.base_dir or self.options.state_folder

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """Count a run as being loaded."""
        with self._counting:
            self._loads += 1
        try:
            yield
        finally:
            with self._counting:
                self._loads -= 1

    def look_at_options(self, loaded: Mapping[str, Any]) -> None:
        """Count a run that stays, by its record in the journal, if it was loaded with other options."""
        asked = self.options.step_multiplier
        same_steps = asked is None or str(Multiplier.of(asked)) == loaded["multiplier"]
        if not same_steps or loaded["options"] != self.content_options.recorded():
            with self._counting:
                self.with_other_options += 1

    @property
    def has_one_load(self) -> bool:
        """Whether just one run is being loaded by this process."""
        with self._counting:
            return self._loads == 1

    @property
    def content_options(self) -> ContentOptions:
        """The options of this load that decide what is in Pluto."""
        settings = self.settings
        return ContentOptions(self.options.name_prefix, settings.log_every, settings.max_files_per_run)

    def target(self, source_project: str) -> Target:
        """Where runs go: to the project that was asked for, else to one named as Neptune's, if possible."""
        project = usable_project_name(self.wanted_project(source_project))
        return Target(self.account, self.api.endpoints.host, project)

    def wanted_project(self, source_project: str) -> str:
        """The project that was asked for, whether or not Pluto takes its name."""
        if self.settings.without_workspace:
            return workspace_and_project(source_project)[1]
        return self.settings.project_name or source_project


def usable_project_name(name: str) -> str:
    """The name itself where it may travel in a header, else a likeness with a digest."""
    clean = "".join(c if c.isascii() and c.isprintable() else "_" for c in printable(name)).strip()
    if clean == name and 0 < len(name) <= MAX_NAME:
        return name
    return shortened(clean, MAX_NAME, digest(name))
