"""Errors that pyarrow raises for damaged files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from neptune_exporter.contract import DatasetError
from neptune_exporter.toolkit import first_line

if TYPE_CHECKING:
    from neptune_exporter.dataset.read.parts import Part


class DamageAsErrors:
    """Turns errors of pyarrow in its block into a DatasetError that names the file.

    Not a `contextlib.contextmanager`, which takes four times as long: small parts are read in many pieces.
    """

    def __init__(self, file: Part) -> None:
        self._file = file

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (pa.ArrowException, OSError, UnicodeDecodeError, IndexError)):
            raise DatasetError(f"{self._file.where} is damaged: {first_line(error)}") from error
