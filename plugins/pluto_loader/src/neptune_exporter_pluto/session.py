"""What all loads of one sink share."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from neptune_exporter.contract import LoadOptions
from neptune_exporter.model import RunKey
from neptune_exporter.sinks.names import digest, printable, shortened
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_pluto.api import PlutoApi
from neptune_exporter_pluto.cachefile import DEFAULT_NAME, OWNERS_NAME, LineOwners, LoadedCache
from neptune_exporter_pluto.config import escaped, section_of
from neptune_exporter_pluto.pace import Pace
from neptune_exporter_pluto.settings import MAX_NAME, PlutoSettings
from neptune_exporter_pluto.target import FOLDER, Target


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
    pace: Pace
    multipliers: dict[RunKey, Multiplier] = field(default_factory=dict)
    """Of each run, as `prepare` found them."""

    def __post_init__(self) -> None:
        self._loads = 0
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

    @property
    def has_one_load(self) -> bool:
        """Whether just one run is being loaded by this process."""
        with self._counting:
            return self._loads == 1

    def target(self, source_project: str) -> Target:
        return Target(self.account, self.api.endpoints.host, self.target_project(source_project))

    def target_project(self, source_project: str) -> str:
        """The project in Pluto: the one that was asked for, else Neptune's as far as Pluto takes the name."""
        return usable_project_name(self.wanted_project(source_project))

    def wanted_project(self, source_project: str) -> str:
        """The project that was asked for, whether or not Pluto takes its name."""
        if self.settings.without_workspace:
            return source_project.partition("/")[2] or source_project
        return self.settings.project_name or source_project


@dataclass(frozen=True)
class ContentOptions:
    """The options that decide what is in Pluto. A run's config tells them, for whoever compares later."""

    name_prefix: str
    log_every: int
    max_files_per_run: int

    @classmethod
    def of(cls, session: Session) -> ContentOptions:
        settings = session.settings
        return cls(session.options.name_prefix, settings.log_every, settings.max_files_per_run)

    def recorded(self) -> dict[str, Any]:
        """For a run's config."""
        return {**asdict(self), "name_prefix": escaped(self.name_prefix)}

    @classmethod
    def read(cls, details: Mapping[str, Any], otherwise: ContentOptions) -> ContentOptions:
        """What a run's config tells; `otherwise` where it tells nothing."""
        load = section_of(details).get("load")
        found = load.get("options") if isinstance(load, dict) else None
        return cls.of_record(found) if isinstance(found, dict) else otherwise

    @classmethod
    def of_record(cls, found: Mapping[str, Any]) -> ContentOptions:
        """The inverse of `recorded`."""
        prefix = orjson.loads(f'"{found["name_prefix"]}"')
        return cls(prefix, int(found["log_every"]), int(found["max_files_per_run"]))


def usable_project_name(name: str) -> str:
    """The name itself where it may travel in a header, else a likeness with a digest."""
    clean = "".join(c if c.isascii() and c.isprintable() else "_" for c in printable(name)).strip()
    if clean == name and 0 < len(name) <= MAX_NAME:
        return name
    return shortened(clean, MAX_NAME, digest(name))


class Pipeline:
    """Runs calls on an executor, a bounded number of them ahead, and tells the first failure.

    One thread submits and waits.
    """

    def __init__(self, executor: ThreadPoolExecutor, ahead: int) -> None:
        self._executor = executor
        self._ahead = ahead
        self._under_way: deque[Future[Any]] = deque()
        self._failure: BaseException | None = None

    def submit(self, call: Callable[..., Any], *args: Any) -> None:
        """Wait for a place, then run it in the background. Raises what an earlier call raised."""
        while len(self._under_way) >= self._ahead or (self._under_way and self._under_way[0].done()):
            self._take_oldest()
        if self._failure is not None:
            raise self._failure
        self._under_way.append(self._executor.submit(call, *args))

    def _take_oldest(self) -> None:
        # Not `concurrent.futures.wait`: it does not see a future that a shutdown has cancelled.
        with contextlib.suppress(CancelledError):
            error = self._under_way.popleft().exception()
            self._failure = self._failure or error

    def drain(self) -> None:
        """Wait for all. Raises the first failure."""
        self.settle()
        if self._failure is not None:
            raise self._failure

    def settle(self) -> None:
        """Wait for all, whatever became of them."""
        while self._under_way:
            self._take_oldest()
