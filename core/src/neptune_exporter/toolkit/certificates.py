"""Which certificates a client trusts, where a variable says so."""

from __future__ import annotations

import os
from pathlib import Path

from neptune_exporter.errors import UsageError


def check_certificates(*variables: str) -> None:
    """Check that the file exists that the first set variable names.

    Without the file a client fails when it is created, with an error that names neither.

    Raises:
        UsageError: there is no such file.
    """
    for variable in variables:
        if path := os.environ.get(variable):
            if not Path(path).exists():
                raise UsageError(f"the variable {variable}: there is no file {path} with certificates")
            return
