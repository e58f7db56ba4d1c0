"""File series: steps, times, names and descriptions of their images, where the server has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from neptune_exporter.contract import SourceError
from neptune_exporter.toolkit import clean
from neptune_exporter.toolkit.http_errors import RequestRefusedError
from neptune_exporter_neptune2.api import LEADERBOARD, Api
from neptune_exporter_neptune2.values import Attribute

_PAGE = 1000
"""Images of an answer; the same as `series.PAGE`."""


@dataclass(frozen=True)
class Image:
    """What is known of one image before it is downloaded."""

    index: int
    step: float
    time: int | None = None
    """Milliseconds since 1970."""
    name: str = ""
    description: str = ""
    has_step: bool = True
    """False: the server gave no step, and the index stands for it."""


class StepsUnknown(Exception):  # noqa: N818 - not an error
    """The server does not give the steps and times of this series."""


def by_channel(api: Api, attribute: Attribute) -> Iterator[Image]:
    """The images of a series, in their order, by the channel that holds its points.

    The client never asks for it; the operation (`getChannelValues`) is one of the server's API. Raises
    StepsUnknown, before the first image, if the server has no such operation or channel.
    """
    channel = attribute.properties.get("channelId")
    if not isinstance(channel, str) or not channel:
        raise StepsUnknown
    index = 0
    while True:
        try:
            images, total = api.get(
                f"{LEADERBOARD}/channels/{channel}/values",
                {"limit": _PAGE, "offset": index},
                partial(_page, index),
            )
        except RequestRefusedError as error:
            if index == 0 and error.status in (400, 404, 405, 410):
                raise StepsUnknown from None
            raise
        yield from images
        index += len(images)
        if index >= total:
            return
        if not images:
            raise SourceError(f"the server announced {total} images and gave {index}")


def by_index(api: Api, attribute: Attribute, params: dict[str, str | int]) -> Iterator[Image]:
    """The images of a series by their number alone: the index stands for the step. Raises AuthenticationError
    or SourceError."""
    count = api.get(
        f"{LEADERBOARD}/attributes/series/image",
        {**params, "limit": 1, "offset": 0},
        lambda answer: int(answer["totalItemCount"]),
    )
    yield from (Image(index, float(index)) for index in range(count))


def _page(start: int, answer: Any) -> tuple[list[Image], int]:
    images = [_image(start + n, point) for n, point in enumerate(answer["values"])]
    return images, int(answer["totalItemCount"])


def _image(index: int, point: Any) -> Image:
    time, value = point.get("timestampMillis"), (point.get("y") or {}).get("imageValue") or {}
    name, description = (clean(str(value.get(field) or "")) for field in ("name", "description"))
    step = point.get("x")  # the API does not promise it
    has_step = step is not None
    return Image(
        index,
        float(step if has_step else index),
        None if time is None else int(time),
        name,
        description,
        has_step,
    )
