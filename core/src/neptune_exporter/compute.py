"""`pyarrow.compute`, imported at its first use: that takes 45 ms, and a process that only counts the rows of
ordinary parts never uses it. Import this as `pc`."""

from typing import Any


def __getattr__(name: str) -> Any:
    import pyarrow.compute

    found = globals()[name] = getattr(pyarrow.compute, name)
    return found
