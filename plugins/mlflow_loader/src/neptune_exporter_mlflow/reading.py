"""Reads a run back through MLflow's public reading side, for comparison."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, cast

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES

from neptune_exporter.sinks.comparing import Held
from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.received import FileToSend
from neptune_exporter_mlflow.names import LONGEST_VALUE, beginning, fitting, is_shown, thumbnail

LONG_VALUES = "neptune/long_parameters.json"
"""Parameters that MLflow would cut or some database refuse, whole."""
_STATUS = {"FINISHED": "finished", "FAILED": "failed", "RUNNING": "active"}


def moment(milliseconds: int | None) -> int | None:
    """A time of a run for MLflow, to which 0 means that there is no time."""
    return 1 if milliseconds == 0 else milliseconds


def shown_value(text: str) -> str:
    """A parameter as MLflow holds it: shortened, and without the character 0, which PostgreSQL refuses."""
    return beginning(text.replace("\0", "\\0"), LONGEST_VALUE, f"(all of it: {LONG_VALUES})")


class RunReader:
    """Reads one run.

    Args:
        turn: Lends the client: points and files are read later, by the functions that `held` gives.
    """

    def __init__(
        self, client: MlflowClient, run_id: str, turn: Callable[[], AbstractContextManager[MlflowClient]]
    ) -> None:
        self._run = client.get_run(run_id)
        self._client, self._id = client, run_id
        self._turn = turn
        self._listed = dict(self._artifacts(client, None))
        self._files = {name: size for name, size in self._listed.items() if self._is_seen(name)}

    def held(self) -> Held:
        tags, info = self._run.data.tags, self._run.info
        name = tags.get("neptune.name")
        return Held(
            self._parameters(),
            self._points,
            file=self._file,
            sizes={name: size for name, size in self._files.items() if size is not None},
            names={"points": set(self._run.data.metrics), "files": set(self._listed) - self._own()},
            name=name if name and fitting(name) == info.run_name else info.run_name,
            status=_STATUS.get(info.status, info.status),
            created=_time(tags.get("neptune.created"), info.start_time),
            ended=_time(tags.get("neptune.ended"), info.end_time),
            parent_id=tags.get("mlflow.parentRunId"),
            tags=_tags(self._run),
        )

    def _own(self) -> set[str]:
        """Artifacts that the loader makes and that are no files of the run."""
        return {LONG_VALUES} | {thumbnail(name) for name in self._listed if is_shown(name)}

    def _is_seen(self, name: str) -> bool:
        """An image of a series counts as missing without what the page of the run needs to show it."""
        shows = MLFLOW_LOGGED_IMAGES in self._run.data.tags and thumbnail(name) in self._listed
        return shows or not is_shown(name)

    def _parameters(self) -> dict[str, Any]:
        values = dict(self._run.data.params)
        if LONG_VALUES in self._files:
            with self._open(LONG_VALUES) as file:
                whole: dict[str, str] = json.load(file)
            values |= {name: text for name, text in whole.items() if values.get(name) == shown_value(text)}
        return values

    def _points(self, name: str) -> Iterator[Points]:
        with self._turn() as client:
            history = client.get_metric_history(self._id, name)
        yield Points.of_rows((m.step, m.timestamp, m.value) for m in history)

    def _artifacts(self, client: MlflowClient, folder: str | None) -> Iterator[tuple[str, int | None]]:
        for entry in client.list_artifacts(self._id, folder):
            if entry.is_dir:
                yield from self._artifacts(client, entry.path)
            else:
                yield entry.path, entry.file_size

    def _file(self, file: FileToSend) -> BinaryIO | None:
        if file.unique_name not in self._files:
            return None
        with self._turn():
            return self._open(file.unique_name)

    def _open(self, name: str) -> BinaryIO:
        folder = tempfile.TemporaryDirectory(prefix="neptune-exporter-")
        return cast(BinaryIO, _Copy(self._client.download_artifacts(self._id, name, folder.name), folder))


class _Copy(io.FileIO):
    """A file that MLflow has downloaded; closing it deletes it."""

    def __init__(self, path: str, folder: tempfile.TemporaryDirectory[str]) -> None:
        super().__init__(path)
        self._folder = folder

    def close(self) -> None:
        super().close()
        self._folder.cleanup()


def _time(exact: str | None, held: int | None) -> int | None:
    """The time that MLflow holds, with `moment` undone; None if Neptune has no such time."""
    if exact is None or held is None:
        return None
    return int(exact) if moment(int(exact)) == held else held


def _tags(run: Run) -> list[str]:
    """From the tag, or from the parameter if the tag was cut."""
    text = run.data.tags.get("neptune.tags", "[]")
    try:
        return list(json.loads(text))
    except json.JSONDecodeError:
        return list(json.loads(run.data.params["sys/tags"]))
