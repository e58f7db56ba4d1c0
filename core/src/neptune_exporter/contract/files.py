"""A source stores files through a writer that core hands to it. It never builds a path."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING

from neptune_exporter.model import RunKey

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class StoredFile:
    """A file that is stored in the dataset: the values for the row that names it.

    Examples:
        >>> columns = StoredFile.columns([StoredFile("RUN-1/model/weights.pt", 4, "1be2e452…")])
        >>> event = RunRows(run.key, attribute_batch("model/weights", AttributeType.FILE, columns))
    """

    path: str
    """For `file_value.path`: relative to the project's folder of files, with `/`."""
    size: int
    """Bytes, for `file_size`."""
    sha256: str
    """Hex, for `file_sha256`."""

    @staticmethod
    def columns(stored: Iterable[StoredFile]) -> dict[str, pa.Array]:
        """The columns of `FULL_SCHEMA` that name these files, one row for each."""
        import pyarrow as pa

        from neptune_exporter.schema import FILE_TYPE

        files = list(stored)
        return {
            "file_value": pa.array([{"path": file.path} for file in files], FILE_TYPE),
            "file_size": pa.array([file.size for file in files], pa.int64()),
            "file_sha256": pa.array([file.sha256 for file in files], pa.string()),
        }


class OpenFile(ABC):
    """A file being written. Leaving the `with` block normally stores it; an exception discards it.

    Examples:
        >>> with files.create(run.key, "model/weights", name="weights.pt") as file:
        ...     file.write(b"0123")
        ...     file.size  # if the connection breaks now, ask the server for the rest from here
        4
        >>> file.stored.size
        4
    """

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Append bytes."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes written so far: where to resume after a broken connection."""

    @abstractmethod
    def restart(self) -> None:
        """Discard what was written, because the server cannot resume."""

    @property
    @abstractmethod
    def stored(self) -> StoredFile:
        """The finished file; valid only after the `with` block has ended."""

    @abstractmethod
    def __enter__(self) -> OpenFile: ...

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FileWriter(ABC):
    """Stores files of runs. Safe to use from several threads.

    Examples:
        >>> for step, image in [(0, b"first image"), (10, b"second image")]:
        ...     with files.create(run.key, "val/sample", name=".png", step=step) as file:
        ...         file.write(image)
        >>> file.stored.size  # `file.stored.path` goes into the row, see `StoredFile`
        12
    """

    @abstractmethod
    def create(
        self,
        run: RunKey,
        attribute_path: str,
        *,
        name: str = "",
        step: Decimal | float | None = None,
        ordinal: int = 0,
    ) -> OpenFile:
        """Begin a file. Each (run, attribute, step, ordinal) is one file; storing it again replaces it.

        Args:
            run: The run that it belongs to.
            attribute_path: Its attribute; any characters.
            name: The original file name, or just an extension (`.png`). The stored name contains a
                cleaned form of it, so that a person recognises the file.
            step: The step, if the attribute is a file series.
            ordinal: Distinguishes several files of one attribute and step.
        """
