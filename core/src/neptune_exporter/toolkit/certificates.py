"""Which certificates a client trusts, where a variable says so."""

from __future__ import annotations

import os
from pathlib import Path

from neptune_exporter.errors import UsageError


def check_certificates(*variables: str) -> None:
    """See that the file is there which the first of these variables names that is set.

    Clients fail without it, when they are made, with an error that names neither.

    Raises:
        UsageError: it is not.
    """
    for variable in variables:
        if path := os.environ.get(variable):
            if not Path(path).exists():
                raise UsageError(f"the variable {variable}: there is no file {path} with certificates")
            return
