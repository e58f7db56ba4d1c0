"""neptune-exporter: get every byte of run history out of Neptune, prove it whole, load it anywhere."""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` has it, without that import: a Ctrl-C before `main` is a traceback
if TYPE_CHECKING:
    from os import PathLike

    from neptune_exporter.reading import ExportedDataset

__all__ = ["open_dataset"]


def open_dataset(path: str | PathLike[str], files_path: str | PathLike[str] | None = None) -> ExportedDataset:
    """Open an export for reading: ours, or one of the earlier tool.

    Args:
        path: The folder of the export, or the folder `data` in it.
        files_path: Where the files are, if not in `files` beside `data`.

    Raises:
        DatasetError: there is no such folder.

    Examples:
        >>> dataset = neptune_exporter.open_dataset("exports")
        >>> table = dataset.fetch_runs_table(attributes=["config/lr"])
        >>> table.to_pylist()  # or `table.to_pandas()`
        [{'project': 'acme/vision', 'run': 'RUN-1', 'config/lr': 0.1},
         {'project': 'acme/vision', 'run': 'RUN-2', 'config/lr': 0.01}]
    """
    from neptune_exporter import reading  # pyarrow is imported only by those who read

    return reading.open_dataset(path, files_path)
