"""Files and file sets: streamed to the dataset, resumed after a break, checked against their size."""

from __future__ import annotations

import json
import mimetypes
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass

from neptune_exporter.contract import FileWriter, OpenFile, StoredFile
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.toolkit import Body, TransientError, pause, receive, waiting_for
from neptune_exporter_neptune2.api import LEADERBOARD, Api, Params
from neptune_exporter_neptune2.file_rows import FileRow
from neptune_exporter_neptune2.values import Attribute
from neptune_exporter_neptune2.zips import TailedFile, members

LISTING = "files_list.json"
_LEAST_ZIP = 22
"""Bytes of a zip without files: its end record."""
_FIRST_POLL, _LONGEST_POLL = 0.25, 5.0
"""Seconds between two questions whether the zip is made: the wait doubles from the first to the longest."""


@dataclass(frozen=True)
class Downloads:
    """Downloads the files of one run."""

    api: Api
    run: RunKey
    handle: str
    """The server's id of the run."""
    writer: FileWriter

    def file(self, attribute: Attribute) -> list[FileRow]:
        """A file attribute. Raises AuthenticationError or SourceError."""
        url, size = f"{LEADERBOARD}/attributes/download", attribute.properties.get("size")
        with self.writer.create(self.run, attribute.path, name=_file_name(attribute)) as target:
            self._receive(
                attribute,
                lambda offset: self.api.open(url, self.of(attribute), offset=offset),
                target,
                size if isinstance(size, int) else None,
            )
        return [FileRow(attribute.path, AttributeType.FILE, target.stored)]

    def file_set(self, attribute: Attribute, listed: bool) -> list[FileRow]:
        """The zip of a file set, and, if it is to be `listed`, the list of its files as JSON beside it.

        The list is the attribute `<path>/files_list.json`; the zip is known to be whole then. Raises
        AuthenticationError or SourceError.
        """
        url = self._zip_url(attribute)
        with self.writer.create(self.run, attribute.path, name="files.zip") as target:
            tailed = TailedFile(target)
            self._receive(
                attribute,
                lambda offset: self.api.open(url, offset=offset, may_be_page=False),
                tailed,
                least=_LEAST_ZIP,
            )
            content = members(tailed)
        rows = [FileRow(attribute.path, AttributeType.FILE_SET, target.stored)]
        if listed and content is not None:
            path = f"{attribute.path}/{LISTING}"
            rows.append(FileRow(path, AttributeType.FILE, self.json(path, LISTING, content)))
        return rows

    def image(self, attribute: Attribute, index: int, step: float, when: int | None, name: str) -> FileRow:
        """One element of a file series. Raises AuthenticationError or SourceError.

        Args:
            index: Its place in the series, which also distinguishes elements of one step.
            step: Its step, `when`: its time in milliseconds since 1970.
            name: As it was logged, may be empty.
        """
        url, params = f"{LEADERBOARD}/attributes/series/image/single", {**self.of(attribute), "index": index}
        with ExitStack() as stack:
            # Only the answer says the type, and the file is created under the extension of that type.
            def opened() -> Body:
                return stack.enter_context(self.api.open(url, params, may_be_page=False))

            body = self.api.patiently("image", lambda patience: patience.call(opened))
            full_name = named(name, extension(body.content_type))
            bodies = iter([nullcontext(body)])
            target = self.writer.create(self.run, attribute.path, name=full_name, step=step, ordinal=index)
            with target:
                self._receive(
                    attribute,
                    lambda offset: (
                        next(bodies, None) or self.api.open(url, params, offset=offset, may_be_page=False)
                    ),
                    target,
                    least=1,
                )
        return FileRow(attribute.path, AttributeType.FILE_SERIES, target.stored, step, when)

    def json(self, path: str, name: str, content: object) -> StoredFile:
        with self.writer.create(self.run, path, name=name) as target:
            target.write(json.dumps(content, ensure_ascii=True).encode())
        return target.stored

    def of(self, attribute: Attribute) -> dict[str, str | int]:
        """The parameters that name an attribute."""
        return {"experimentId": self.handle, "attribute": attribute.path}

    def _receive(
        self,
        attribute: Attribute,
        open_at: Callable[[int], AbstractContextManager[Body]],
        into: OpenFile | TailedFile,
        size: int | None = None,
        *,
        least: int = 0,
    ) -> None:
        with waiting_for(f"{self.api.server}: {self.run} {attribute.path}"):
            self.api.patiently(
                "download", lambda patience: receive(open_at, into, size, patience, least=least)
            )

    def _zip_url(self, attribute: Attribute) -> str:
        """Ask the server to make the zip, and wait for it."""
        url = f"{LEADERBOARD}/attributes/downloadFileSetZipRequest"
        params: Params = self.api.post(
            url, self.of(attribute), None, lambda answer: {"id": str(answer["id"])}
        )
        seconds, deadline = _FIRST_POLL, time.monotonic() + max(self.api.patience.seconds, 600.0)
        is_made = f"{LEADERBOARD}/download/downloadRequest"
        while not (url := self.api.get(is_made, params, lambda answer: str(answer.get("downloadUrl") or ""))):
            if time.monotonic() > deadline:
                raise TransientError("the server did not make the zip of the file set in time")
            pause(seconds)
            seconds = min(2 * seconds, _LONGEST_POLL)
        return url


def named(name: str, extension: str) -> str:
    """The name with this extension (which has a dot, or is empty), by which a person recognises a file."""
    has_it = not extension or name.lower().endswith(extension.lower())
    return name if has_it else f"{name}{extension}"


def extension(content_type: str) -> str:
    """What a downloaded image's extension must be; empty if the type says nothing."""
    kind = content_type.partition(";")[0].strip().lower()
    if not kind or kind == "application/octet-stream":
        return ""
    return mimetypes.guess_extension(kind, strict=False) or ""


def _file_name(attribute: Attribute) -> str:
    """The name that the server keeps, with the extension that it keeps apart."""
    given = attribute.properties.get("name"), attribute.properties.get("ext")
    name, ext = (text if isinstance(text, str) else "" for text in given)
    return named(name, f".{ext.lstrip('.')}" if ext else "")
