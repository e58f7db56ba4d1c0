"""Opens runs by the names that they have in addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from neptune_exporter.contract import DatasetError, DatasetView, Parameter, RunView, UsageError
from neptune_exporter.model import RunKey, RunKind


def run_name(key: RunKey) -> str:
    """The run in an address: kind, project and id, which may hold any character but the first `:`.

    Examples:
        >>> run_name(RunKey("acme/vision", "RUN-1"))
        'run:11:acme/vision:RUN-1'
    """
    return f"{key.kind}:{len(key.project_id)}:{key.project_id}:{key.run_id}"


def run_key(name: str) -> RunKey:
    """The inverse of `run_name`. Raises UsageError if it is not such a name."""
    try:
        kind, length, rest = name.split(":", 2)
        project, run_id = rest[: int(length)], rest[int(length) + 1 :]
        return RunKey(project, run_id, RunKind(kind))
    except ValueError:
        raise UsageError(f"this address names no run: {name[:100]}") from None


class OpenRuns:
    """The runs of a dataset as they were at the last look, which need not be searched for on disk again."""

    def __init__(self, dataset: DatasetView) -> None:
        self.dataset = dataset
        self.known: dict[RunKey, RunView] = {}

    def __getitem__(self, key: RunKey) -> RunView:
        """Raises DatasetError if there is no such run."""
        run = self.get(key)
        if run is None:
            raise DatasetError(f"the dataset has no run {key}")
        return run

    def get(self, key: RunKey) -> RunView | None:
        return self.known.get(key) or self.dataset.run(key)

    def ancestors(self, run: RunView) -> Iterator[tuple[RunKey, RunView | None, float | None]]:
        """The parent, its parent and so on, up to the first that is not there (None).

        Each with the step at which the run before it was forked off.
        """
        here: RunView | None = run
        seen = {run.key}
        while here is not None and (key := here.parent()) is not None and key not in seen:
            step = here.fork_step()
            seen.add(key)
            here = self.get(key)
            yield key, here, None if step is None else float(step)

    def parameters(self, run: RunView) -> Mapping[str, Parameter]:
        """The parameters of a run, without keeping them in it. Raises DatasetError if they cannot be read."""
        ((_, found),) = self.dataset.parameters_of([run])
        if isinstance(found, DatasetError):
            raise found
        return found
