"""Names that all of MLflow accepts: its client, its server, its databases and its artifact stores."""

from __future__ import annotations

import re

from neptune_exporter.sinks.names import NameRule, digest, path_parts, shortened

LONGEST_VALUE = 6_000
"""Characters of a parameter; `log_batch` cuts a longer one, with a line in the log."""
LONGEST_TAG = 5_000
"""Characters that all backends accept, by the documentation of `MlflowClient.set_tag`."""
LONGEST_NAME = 250
"""Bytes of the name of a run or an experiment; the columns have 250 and 256 characters."""

_OTHERS = re.compile(r"[^\w.\- :/]")
_OTHERS_IN_FILES = re.compile(r"[^\w.\- /]")
_OTHERS_IN_KEYS = re.compile(r"[^a-zA-Z0-9_\-. ~]")
_IMAGES = "images"
_SHOWN = re.compile(r"images/[\w\-. ~]+\+step\+-?\d+\+timestamp\+\d+\+[\w\-]+\.(png|webp)")
SHOWN_KINDS = ("png", "webp")
_LONGEST_IMAGE_KEY = 120
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_TEMPORARY = ".artifact.uploading."


def clean_key(name: str) -> str:
    """The nearest name of a parameter or metric (`mlflow.utils.validation` of 3.17.2)."""
    return path_parts(_OTHERS.sub("_", name))


def clean_file(name: str) -> str:
    """The nearest name under which every store keeps an artifact, on Windows too.

    `#`, `?` and `%` are cut off or decoded on the way through a server (3.17.2).
    """
    if is_shown(name):
        return name
    parts = path_parts(_OTHERS_IN_FILES.sub("_", name)).split("/")
    if len(parts) == 2 and parts[0].casefold() == _IMAGES:
        parts.insert(1, "files")  # MLflow shows no image if one is not named as `log_image` does it
    return "/".join(map(_file_part, parts))


def image_name(path: str, step: int, time: int, extension: str) -> str:
    """Where MLflow's page of a run finds an image of a series.

    As `MlflowClient.log_image` of 3.17 names them, with a digest where that puts a random number.
    """
    key = _OTHERS_IN_KEYS.sub("_", path.replace("/", "~"))[:_LONGEST_IMAGE_KEY]
    return f"{_IMAGES}/{key}+step+{step}+timestamp+{time}+{digest(path, str(step), str(time))}.{extension}"


def is_shown(name: str) -> bool:
    """Whether MLflow's page of a run shows this artifact as an image of a series."""
    return bool(_SHOWN.fullmatch(name))


def thumbnail(name: str) -> str:
    """The name of the small copy that the page shows first."""
    beginning, _, extension = name.rpartition(".")
    return f"{beginning}+compressed.{extension}"


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
    """As much of a text as fits, and where the whole text is."""
    return text if len(text) <= longest else f"{text[: longest - len(where) - 4]} … {where}"
