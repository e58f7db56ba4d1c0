"""Names that MLflow takes, everywhere: in its client, its server, its databases and its artifact stores."""

from __future__ import annotations

import re

from neptune_exporter.sinks.names import NameRule, digest, path_parts, shortened

LONGEST_VALUE = 6_000
"""Characters of a parameter; `log_batch` cuts a longer one, with a line in the log."""
LONGEST_TAG = 5_000
"""Characters; what all backends take, as `MlflowClient.set_tag` says."""
LONGEST_NAME = 250
"""Bytes of the name of a run or an experiment; the columns have 250 and 256 characters."""

_OTHERS = re.compile(r"[^\w.\- :/]")
_OTHERS_IN_FILES = re.compile(r"[^\w.\- /]")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_TEMPORARY = ".artifact.uploading."


def clean_key(name: str) -> str:
    """The nearest name of a parameter or metric (`mlflow.utils.validation` of 3.17.2)."""
    return path_parts(_OTHERS.sub("_", name))


def clean_file(name: str) -> str:
    """The nearest name of an artifact that arrives under it in every store, on Windows too.

    `#`, `?` and `%` are cut off or decoded on the way through a server (3.17.2).
    """
    parts = path_parts(_OTHERS_IN_FILES.sub("_", name)).split("/")
    return "/".join(map(_file_part, parts))


def _file_part(part: str) -> str:
    part = part.strip(" ").rstrip(". ") or "_"
    return f"_{part}" if _DEVICES.fullmatch(part) or part.startswith(_TEMPORARY) else part


KEYS = NameRule(250, "characters", clean_key, folds_case=True, mark=".")
"""Case is folded as some databases (MySQL, SQL Server) take `A` for `a`."""
FILES = NameRule(240, "bytes", clean_file, folds_case=True, mark="-", paths=True)


def fitting(name: str) -> str:
    """The name of a run or an experiment; a longer one ends with a digest."""
    return name if len(name.encode()) <= LONGEST_NAME else shortened(name, LONGEST_NAME, digest(name))


def beginning(text: str, longest: int, where: str) -> str:
    """As much of a text as fits, and where the whole of it is."""
    return text if len(text) <= longest else f"{text[: longest - len(where) - 4]} … {where}"
