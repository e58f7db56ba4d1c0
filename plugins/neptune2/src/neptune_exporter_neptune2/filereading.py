"""Reads the files of a run: which downloads there are, in which order, and what becomes of each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TypeAlias

import pyarrow as pa

from neptune_exporter.contract import AttributeFailure, SourceError
from neptune_exporter.model import AttributeType
from neptune_exporter.schema import TIME_TYPE, attribute_batch, step_columns
from neptune_exporter.toolkit import look_ahead
from neptune_exporter.toolkit.http_errors import StoppedError
from neptune_exporter_neptune2 import artifacts, images
from neptune_exporter_neptune2.downloads import LISTING, Downloads
from neptune_exporter_neptune2.file_rows import FileRow, PartError, failure_of, file_batch
from neptune_exporter_neptune2.images import Image
from neptune_exporter_neptune2.values import Attribute

Rows: TypeAlias = "list[FileRow]"
Work: TypeAlias = "tuple[Attribute, Callable[[], Rows]]"
FileEvent: TypeAlias = "pa.RecordBatch | AttributeFailure"
_BATCH = 500
"""Rows of files in a batch, at most."""
_CAPTIONS = 10_000


@dataclass
class FileReader:
    """Reads file attributes of one run."""

    downloads: Downloads
    project_uuid: Callable[[], str]
    artifact_files: bool
    taken: frozenset[str]
    """Paths of all attributes of the run: what is added beside a file never takes one of these."""
    notes: list[str]
    _captions: list[pa.RecordBatch] = field(default_factory=list)
    _unreachable: dict[str, list[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(
        self, attributes: Sequence[Attribute], executor: Executor, connections: int
    ) -> Iterator[FileEvent]:
        """Rows in batches, then the failures: one for each attribute of which anything failed. Raises
        AuthenticationError."""
        rows: Rows = []
        failed: dict[str, tuple[Attribute, SourceError, int]] = {}
        work = chain.from_iterable(map(self._work, attributes))
        for (attribute, _), result in look_ahead(executor, work, lambda each: each[1](), 2 * connections):
            try:
                rows += result()
            except StoppedError:
                raise
            except SourceError as error:
                _, first, count = failed.get(attribute.path, (attribute, error, 0))
                failed[attribute.path] = (attribute, first, count + 1)
            if len(rows) >= _BATCH:
                yield file_batch(rows)
                rows = []
            while self._captions:
                yield self._captions.pop(0)
        if rows:
            yield file_batch(rows)
        yield from self._captions
        for attribute, first, count in failed.values():
            yield failure_of(self.downloads.run, attribute, first, count - 1)
        for path, reasons in sorted(self._unreachable.items()):
            self.notes.append(
                f"{path}: {len(reasons)} of the artifact's files cannot be reached, such as {min(reasons)}"
            )

    def _work(self, attribute: Attribute) -> Iterator[Work]:
        """The work for an attribute, lazily. If it cannot be found out, the only work is to report why."""
        try:
            yield from self._steps(attribute)
        except SourceError as error:
            yield attribute, partial(_fail, error)

    def _steps(self, attribute: Attribute) -> Iterator[Work]:
        downloads = self.downloads
        if attribute.type is AttributeType.FILE:
            yield attribute, partial(downloads.file, attribute)
        elif attribute.type is AttributeType.FILE_SET:
            yield attribute, partial(self._file_set, attribute)
        elif attribute.type is AttributeType.ARTIFACT:
            yield from self._artifact(attribute)
        else:
            yield from self._images(attribute)

    def _file_set(self, attribute: Attribute) -> Rows:
        is_to_be_listed = f"{attribute.path}/{LISTING}" not in self.taken
        rows = self.downloads.file_set(attribute, is_to_be_listed)
        if is_to_be_listed and len(rows) == 1:
            self.notes.append(f"{attribute.path}: it has too many files to list them; its zip has them all")
        return rows

    def _artifact(self, attribute: Attribute) -> Iterator[Work]:
        downloads = self.downloads
        files = artifacts.listing(downloads, self.project_uuid(), attribute)
        row = artifacts.store_listing(downloads, attribute, files)
        yield attribute, lambda: [row]
        for listed in files if self.artifact_files else ():
            yield attribute, partial(self._artifact_file, attribute, listed)

    def _artifact_file(self, attribute: Attribute, listed: artifacts.Listed) -> Rows:
        if f"{attribute.path}/{listed.get('filePath')}" in self.taken:
            return []
        try:
            return [artifacts.store_file(self.downloads, attribute, listed)]
        except artifacts.Unreachable as reason:
            with self._lock:
                self._unreachable.setdefault(attribute.path, []).append(
                    f"{listed.get('filePath')} ({reason})"
                )
            return []

    def _images(self, attribute: Attribute) -> Iterator[Work]:
        captions = _Captions(attribute.path, self.taken)
        for image in self._listed_images(attribute):
            if batch := captions.add(image):
                self._captions += batch
            yield attribute, partial(self._image, attribute, image)
        self._captions += captions.flush()

    def _listed_images(self, attribute: Attribute) -> Iterator[Image]:
        api, without_step = self.downloads.api, 0
        try:
            for image in images.by_channel(api, attribute):
                without_step += not image.has_step
                yield image
        except images.StepsUnknown:
            self.notes.append(
                f"{attribute.path}: the server does not give its steps and times; "
                "the index stands for the step"
            )
            yield from images.by_index(api, attribute, self.downloads.of(attribute))
        if without_step:
            what = f"the server gives no step for {without_step:,} images; the index stands for it"
            self.notes.append(f"{attribute.path}: {what}")

    def _image(self, attribute: Attribute, image: Image) -> Rows:
        try:
            return [self.downloads.image(attribute, image.index, image.step, image.time, image.name)]
        except SourceError as error:
            raise PartError(error, f"image {image.index}: {error}") from None


def _fail(error: SourceError) -> Rows:
    raise error


class _Captions:
    """Names and descriptions of images, as the string series `<path>/name` and `<path>/description`."""

    def __init__(self, path: str, taken: frozenset[str]) -> None:
        self._series = [
            (name, f"{path}/{name}") for name in ("name", "description") if f"{path}/{name}" not in taken
        ]
        self._images: list[Image] = []

    def add(self, image: Image) -> list[pa.RecordBatch]:
        if image.name or image.description:
            self._images.append(image)
        return self.flush() if len(self._images) >= _CAPTIONS else []

    def flush(self) -> list[pa.RecordBatch]:
        images, self._images = self._images, []
        batches = []
        for name, path in self._series:
            texts = [(image, text) for image in images if (text := getattr(image, name))]
            if texts:
                columns = {
                    **step_columns(pa.array([image.step for image, _ in texts], pa.float64())),
                    "timestamp": pa.array([image.time for image, _ in texts], pa.int64()).cast(TIME_TYPE),
                    "string_value": pa.array([text for _, text in texts], pa.string()),
                }
                batches.append(attribute_batch(path, AttributeType.STRING_SERIES, columns))
        return batches
