"""An export that is open for reading."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias, cast

import pyarrow as pa

from neptune_exporter.contract import DatasetError, Parameter, RunView, StepRange, UsageError
from neptune_exporter.dataset import Dataset, StoredRun, parameters_of, storage_at
from neptune_exporter.location import Location
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.reading import files
from neptune_exporter.reading.points import Query, Stretch, line, long_table
from neptune_exporter.reading.wide import runs_table, wide_table

Form = Literal["long", "wide"]
Names: TypeAlias = "str | Sequence[str] | None"
"""A regular expression that is searched for in a name, exact names, or everything."""


def open_dataset(path: str | PathLike[str], files_path: str | PathLike[str] | None = None) -> ExportedDataset:
    """See `neptune_exporter.open_dataset`.

    Examples:
        >>> open_dataset("exports").list_projects()
        ['acme/vision']
    """
    folder = Location.of(path)
    data = next((each for each in (folder.child("data"), folder) if storage_at(each).exists()), None)
    if data is None:
        raise DatasetError(f"{folder} is not there: give the folder of an export, or `data` in it")
    return ExportedDataset(data, data.sibling("files") if files_path is None else Location.of(files_path))


class ExportedDataset:
    """An export, open for reading. Nothing is written, and nothing stays in memory but what a method returns.

    Arguments are called as in neptune-query: `project` is one project (all if not given); `runs` and
    `attributes` are a regular expression that is searched for in run ids or attribute paths, or a list of
    exact ones. A warning names exact runs that are not there (neptune-query 1.14 is silent about them).
    Steps are float64. Tables are Arrow's: `.to_pandas()` makes a pandas DataFrame,
    `polars.from_arrow(table)` a polars one, and DuckDB reads them by name. `DatasetError` is raised where a
    part that is needed is damaged or missing.

    Examples:
        >>> dataset = neptune_exporter.open_dataset("exports")
        >>> last = dataset.fetch_metrics(attributes=["train/loss"], tail_limit=1)
        >>> dict(zip(last["run"].to_pylist(), last["value"].to_pylist()))
        {'RUN-1': 0.4, 'RUN-2': 0.2}
    """

    def __init__(self, data_path: Location, files_path: Location) -> None:
        self._dataset = Dataset(data_path, files_path)

    def __repr__(self) -> str:
        return f"ExportedDataset({self.data_path!r}, {self.files_path!r})"

    @property
    def data_path(self) -> str:
        """The folder of the Parquet files.

        Examples:
            >>> dataset.data_path
            '...exports/data'
        """
        return str(self._dataset.data.location)

    @property
    def files_path(self) -> str:
        """The folder of the files that runs logged.

        Examples:
            >>> dataset.files_path
            '...exports/files'
        """
        return str(self._dataset.file_storage.location)

    def runs(self, project: str | None = None) -> Iterator[RunView]:
        """Every run, model and model version, for reading it piece by piece.

        Examples:
            >>> for run in dataset.runs("acme/vision"):
            ...     print(run.key.run_id, run.parameters()["config/lr"].value)
            RUN-1 0.1
            RUN-2 0.01
        """
        self._dataset.forget()
        return self._dataset.runs(project, indexed=True)

    def run(self, key: RunKey) -> RunView | None:
        """One run; None if the dataset does not have it.

        Examples:
            >>> dataset.run(RunKey("acme/vision", "RUN-2")).parent().run_id
            'RUN-1'
        """
        self._dataset.forget()
        return self._dataset.run(key)

    def parameters_of(
        self, runs: Iterable[RunView]
    ) -> Iterator[tuple[RunView, Mapping[str, Parameter] | DatasetError]]:
        """See `DatasetView.parameters_of`.

        Examples:
            >>> for run, parameters in dataset.parameters_of(dataset.runs()):
            ...     print(run.key.run_id, parameters["config/lr"].value)
            RUN-1 0.1
            RUN-2 0.01
        """
        return parameters_of(cast("Iterable[StoredRun]", runs))

    def list_projects(self) -> list[str]:
        """Project ids, sorted.

        Examples:
            >>> dataset.list_projects()
            ['acme/vision']
        """
        self._dataset.forget()
        return self._dataset.projects()

    def list_runs(self, *, project: str | None = None, runs: Names = None) -> list[str]:
        """Run ids, by project.

        Examples:
            >>> dataset.list_runs(runs=r"^RUN-")
            ['RUN-1', 'RUN-2']
        """
        return [run.key.run_id for run in self._chosen(project, runs)]

    def list_attributes(
        self, *, project: str | None = None, runs: Names = None, attributes: Names = None
    ) -> list[str]:
        """Paths of all attributes that any of these runs has, sorted.

        Examples:
            >>> dataset.list_attributes(runs=["RUN-1"], attributes="^(train|logs)/")
            ['logs/stdout', 'train/loss']
        """
        wanted = chooser(attributes, "attributes")
        found = {each.path for run in self._chosen(project, runs) for each in run.attributes()}
        return sorted(path for path in found if wanted(path))

    def fetch_runs_table(
        self,
        *,
        project: str | None = None,
        runs: Names = None,
        attributes: Names = None,
        type_suffix_in_column_names: bool = False,
    ) -> pa.Table:
        """The runs with their parameters: columns `project`, `run` and one per attribute path.

        Int columns are int64, times timestamps in UTC, string sets lists. An attribute that is of one type
        in one run and of another in another has a column for each: `lr:float`, `lr:string`.

        Examples:
            >>> table = dataset.fetch_runs_table(attributes=r"^(config/|sys/name$)")
            >>> table.column_names
            ['project', 'run', 'config/lr', 'config/optimizer', 'sys/name']
        """
        return runs_table(
            parameters_of(self._chosen(project, runs)),
            chooser(attributes, "attributes"),
            type_suffix=type_suffix_in_column_names,
        )

    def fetch_metrics(
        self,
        *,
        project: str | None = None,
        runs: Names = None,
        attributes: Names = None,
        form: Form = "long",
        include_time: Literal["absolute"] | None = None,
        step_range: StepRange = (None, None),
        lineage_to_the_root: bool = False,
        tail_limit: int | None = None,
    ) -> pa.Table:
        """Points of float series.

        Args:
            form: `long` is a row per point: `project`, `run`, `attribute`, `step`, `timestamp`, `value`.
                `wide` is a row per run and step: `project`, `run`, `step`, and a column per attribute.
            include_time: In the wide form, `absolute` adds a column `<attribute>:timestamp` for each.
            step_range: Least and greatest step, both included; None is no limit.
            lineage_to_the_root: Whether a run that was forked off begins with the points of its parents, up
                to the step of the fork. The long form then has a column `origin`, the run that logged it.
            tail_limit: At most this many points of each series, counted from its end.

        Examples:
            >>> table = dataset.fetch_metrics(
            ...     runs=["RUN-2"], attributes=["train/loss"], form="wide", lineage_to_the_root=True
            ... )
            >>> table["step"].to_pylist(), table["train/loss"].to_pylist()
            ([0.0, 1.0, 2.0, 3.0], [0.9, 0.5, 0.3, 0.2])
        """
        if form not in ("long", "wide"):
            raise UsageError(f"form is 'long' or 'wide', not {form!r}")
        query = Query(AttributeType.FLOAT_SERIES, chooser(attributes, "attributes"), step_range, tail_limit)
        is_long = form == "long"
        table = self._points(query, self._chosen(project, runs), lineage_to_the_root, with_origin=is_long)
        return table if is_long else wide_table(table, with_time=include_time == "absolute")

    def fetch_series(
        self,
        *,
        project: str | None = None,
        runs: Names = None,
        attributes: Names = None,
        step_range: StepRange = (None, None),
        lineage_to_the_root: bool = False,
        tail_limit: int | None = None,
    ) -> pa.Table:
        """Entries of string series (logs, console output); as the long form of `fetch_metrics`.

        Examples:
            >>> dataset.fetch_series(attributes=["logs/stdout"], tail_limit=1)["value"].to_pylist()
            ['epoch 1']
        """
        query = Query(AttributeType.STRING_SERIES, chooser(attributes, "attributes"), step_range, tail_limit)
        return self._points(query, self._chosen(project, runs), lineage_to_the_root)

    def fetch_histograms(
        self,
        *,
        project: str | None = None,
        runs: Names = None,
        attributes: Names = None,
        step_range: StepRange = (None, None),
        lineage_to_the_root: bool = False,
        tail_limit: int | None = None,
    ) -> pa.Table:
        """Entries of histogram series: `value` is a struct of `type`, `edges` and `values`.

        Examples:
            >>> dataset.fetch_histograms(attributes=["gradients"])["value"].to_pylist()
            [{'type': 'COUNTING', 'edges': [0.0, 1.0, 2.0], 'values': [3.0, 4.0]}]
        """
        query = Query(
            AttributeType.HISTOGRAM_SERIES, chooser(attributes, "attributes"), step_range, tail_limit
        )
        return self._points(query, self._chosen(project, runs), lineage_to_the_root)

    def list_files(
        self, *, project: str | None = None, runs: Names = None, attributes: Names = None
    ) -> pa.Table:
        """A row per file, of single files and of series: `project`, `run`, `attribute`, `type`, `step`,
        `timestamp`, `path`, `size`, `sha256`. The last two are null in exports of the earlier tool.

        Examples:
            >>> dataset.list_files(runs=["RUN-1"]).select(["run", "attribute", "size"]).to_pylist()
            [{'run': 'RUN-1', 'attribute': 'model/weights', 'size': 4}]
        """
        return files.files_table(self._chosen(project, runs), chooser(attributes, "attributes"))

    def read_file(self, *, project: str, run: str, path: str) -> bytes:
        """The bytes of a file, as `list_files` names it.

        Raises:
            MissingFileError: it is not there.
            UnsafePathError: its path leaves the folder of files.

        Examples:
            >>> path = dataset.list_files(attributes=["model/weights"])["path"][0].as_py()
            >>> dataset.read_file(project="acme/vision", run="RUN-1", path=path)
            b'0123'
        """
        with self._named(project, run).open_file(path) as file:
            return file.read()

    def download_files(self, files_table: pa.Table, destination: str | PathLike[str] = ".") -> list[Path]:
        """Copy files, as `list_files` gives them, below a folder. Returns where each is.

        Raises:
            MissingFileError, UnsafePathError: as `read_file`.

        Examples:
            >>> weights = dataset.list_files(attributes=["model/weights"])
            >>> [path.read_bytes() for path in dataset.download_files(weights, "downloads")]
            [b'0123']
        """
        return [
            files.copy_file(self._named(row["project"], row["run"]), row["path"], Path(destination))
            for row in files_table.select(["project", "run", "path"]).to_pylist()
        ]

    def _named(self, project: str, run: str) -> RunView:
        found = self.run(RunKey(project, run)) or next(
            (each for each in self.runs(project) if each.key.run_id == run), None
        )
        if found is None:
            raise UsageError(f"the dataset has no run {project}:{run}")
        return found

    def _points(
        self, query: Query, chosen: Sequence[RunView], to_the_root: bool, *, with_origin: bool = True
    ) -> pa.Table:
        lines: Sequence[list[Stretch]] = [
            line(run, self.run) if to_the_root else [Stretch(run, float("inf"))] for run in chosen
        ]
        return long_table(lines, query, with_origin=with_origin and to_the_root)

    def _chosen(self, project: str | None, runs: Names) -> list[StoredRun]:
        wanted = chooser(runs, "runs")
        self._dataset.forget()
        found = [run for run in self._dataset.runs(project, indexed=True) if wanted(run.key.run_id)]
        if runs is not None and not isinstance(runs, str):
            there = {run.key.run_id for run in found}
            if missing := [name for name in dict.fromkeys(runs) if name not in there]:
                where = "the dataset" if project is None else f"the project {project}"
                warnings.warn(f"{where} has no run {', '.join(map(repr, missing))}", stacklevel=3)
        return found


def chooser(names: Names, what: str) -> Callable[[str], bool]:
    """Whether a name is meant.

    Raises:
        UsageError: the regular expression is none; `what` says of what.
    """
    if names is None:
        return lambda name: True
    if isinstance(names, str):
        try:
            pattern = re.compile(names)
        except re.error as error:
            raise UsageError(f"{what}: {names!r} is no regular expression: {error}") from error
        return lambda name: pattern.search(name) is not None
    exact = frozenset(names)
    return exact.__contains__
