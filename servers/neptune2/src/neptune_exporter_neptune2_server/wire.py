"""How attributes look in JSON.

Names of fields as in the models that the client builds from the server's swagger
documents and reads in `neptune.internal.backends.hosted_neptune_backend` and
`neptune.integrations.pandas`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Literal

import numpy as np

from neptune_exporter_neptune2_server.attributes import (
    Artifact,
    Attribute,
    Bool,
    Datetime,
    File,
    FileSet,
    Float,
    FloatSeries,
    GitRef,
    ImageSeries,
    Int,
    NotebookRef,
    RunState,
    String,
    StringSeries,
    StringSet,
    Unknown,
)
from neptune_exporter_neptune2_server.project import FakeContainer

NonFinite = Literal["text", "bare", "null"]
"""What a NaN or infinity becomes.

`text`: the strings "NaN", "Infinity", "-Infinity", which is what Jackson, the JSON
library of JVM servers, writes for a double; the client's model reads them with
`float()`. `bare`: the words without quotes, which is not JSON: the client's parser
(simplejson) refuses the whole body. `null`: the client's model gives None.
"""


_KEPT_POINTS = 200_000
"""Pages of longer series (some 75 bytes a point) are made for every request."""


def number(value: float, mode: NonFinite) -> float | str | None:
    """A double for `json.dumps`."""
    value = float(value)
    if math.isfinite(value) or mode == "bare":
        return value
    if mode == "null":
        return None
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def timestamp(value: datetime) -> str:
    """UTC with milliseconds and a Z, the form that `neptune.internal.utils.iso_dates` reads."""
    return value.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def file_name(path: str, file: File) -> str:
    if file.name is not None:
        return file.name
    last = path.rsplit("/", 1)[-1]
    return f"{last}.{file.ext}" if file.ext else last


def properties(container: FakeContainer, path: str, attribute: Attribute, mode: NonFinite) -> dict[str, Any]:
    """The type's own part of an attribute, also the answer of the single-value endpoints."""
    return {
        "attributeName": path,
        "attributeType": attribute.type,
        **_own_properties(container, path, attribute, mode),
    }


def attribute_json(
    container: FakeContainer, path: str, attribute: Attribute, mode: NonFinite
) -> dict[str, Any]:
    """An element of an attribute list or of a table row."""
    own = properties(container, path, attribute, mode)
    return {"name": path, "type": attribute.type, f"{attribute.type}Properties": own}


def _own_properties(
    container: FakeContainer, path: str, attribute: Attribute, mode: NonFinite
) -> Mapping[str, Any]:
    match attribute:
        case Float():
            return {"value": number(attribute.value, mode)}
        case Int() | Bool() | String() | RunState():
            return {"value": attribute.value}
        case Datetime():
            return {"value": timestamp(attribute.value)}
        case StringSet():
            return {"values": sorted(attribute.values)}
        case FloatSeries():
            summary = {name: number(value, mode) for name, value in statistics(attribute).items()}
            return {"config": {}, **summary}
        case StringSeries():
            return (
                {"last": attribute.values[-1], "lastStep": float(attribute.steps[-1])}
                if attribute.values
                else {}
            )
        case ImageSeries(images):
            last = {"lastStep": images[-1].step} if images else {}
            return {"channelId": container.channel_id(path), **last}
        case File():
            return {"name": file_name(path, attribute), "ext": attribute.ext, "size": attribute.size}
        case FileSet():
            return {"size": attribute.size}
        case Artifact():
            return {"hash": attribute.hash}
        case GitRef():
            return _git(attribute)
        case NotebookRef():
            return _notebook(attribute)
        case Unknown():
            return attribute.properties
    raise AssertionError(f"no JSON form for {attribute!r}")


def _git(git: GitRef) -> dict[str, Any]:
    branch = {} if git.branch is None else {"currentBranch": git.branch}
    return {
        "commit": {
            "commitId": git.commit_id,
            "message": git.message,
            "authorName": git.author_name,
            "authorEmail": git.author_email,
            "commitDate": timestamp(git.commit_date),
        },
        "repositoryDirty": git.dirty,
        "remotes": list(git.remotes),
        **branch,
    }


def _notebook(notebook: NotebookRef) -> dict[str, Any]:
    optional = {
        "notebookName": notebook.notebook_name,
        "checkpointId": notebook.checkpoint_id,
        "checkpointName": notebook.checkpoint_name,
    }
    return {
        "notebookId": notebook.notebook_id,
        "notebookDeleted": False,
        **{name: value for name, value in optional.items() if value is not None},
    }


def statistics(series: FloatSeries) -> dict[str, float]:
    """last, lastStep, min, max, average and variance; nothing for an empty series."""
    if series.summary is None:
        with np.errstate(all="ignore"):
            series.summary = (
                {
                    "last": float(series.values[-1]),
                    "lastStep": float(series.steps[-1]),
                    "min": float(np.min(series.values)),
                    "max": float(np.max(series.values)),
                    "average": float(series.values.mean()),
                    "variance": float(series.values.var()),
                }
                if len(series)
                else {}
            )
    return series.summary


def series_page(series: FloatSeries | StringSeries, offset: int, limit: int, mode: NonFinite) -> bytes:
    """One page of points as bytes, made once per page unless the series is very long."""
    key = (offset, limit, mode)
    page = series.pages.get(key)
    if page is None:
        end = min(offset + limit, len(series))
        values: list[Any]
        if isinstance(series, FloatSeries):
            values = [number(value, mode) for value in series.values[offset:end].tolist()]
        else:
            values = series.values[offset:end]
        points = [
            {"timestampMillis": time, "step": step, "value": value}
            for time, step, value in zip(
                series.timestamps[offset:end].tolist(), series.steps[offset:end].tolist(), values, strict=True
            )
        ]
        body = {"totalItemCount": len(series), "values": points}
        page = json.dumps(body, separators=(",", ":")).encode()
        if len(series) <= _KEPT_POINTS:
            series.pages[key] = page
    return page


def image_points(
    container: FakeContainer, path: str, series: ImageSeries, offset: int, limit: int
) -> dict[str, Any]:
    """Steps and times of an image series, in the form of the channel endpoint."""
    channel = container.channel_id(path)
    values = []
    for index, image in enumerate(series.images[offset : offset + limit], start=offset):
        extension = image.content_type.rsplit("/", 1)[-1]
        picture = {"imageUrl": f"/api/leaderboard/v1/images/{container.id}/{channel}/{index}.{extension}"}
        if image.name is not None:
            picture["name"] = image.name
        if image.description is not None:
            picture["description"] = image.description
        values.append({"timestampMillis": image.timestamp_ms, "x": image.step, "y": {"imageValue": picture}})
    return {"channelId": channel, "totalItemCount": len(series.images), "values": values}
