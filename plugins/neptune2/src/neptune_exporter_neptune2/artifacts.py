"""Artifacts: the list of their files, which is all that Neptune has, and those that can still be reached."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from neptune_exporter.contract import SourceError
from neptune_exporter.model import AttributeType
from neptune_exporter.toolkit.http_errors import RequestRefusedError
from neptune_exporter_neptune2.api import ARTIFACTS
from neptune_exporter_neptune2.downloads import LISTING, Downloads
from neptune_exporter_neptune2.file_rows import FileRow
from neptune_exporter_neptune2.values import Attribute

_CHUNK = 1 << 20
"""Bytes that are read at once."""

Listed: TypeAlias = "Mapping[str, Any]"
"""A file of an artifact: filePath, fileHash, type (Local or S3), size, metadata as keys and values."""


class Unreachable(Exception):  # noqa: N818 - not an error: most artifacts' files are elsewhere
    """A file of an artifact is not where it was, or is another one now."""


def listing(downloads: Downloads, project_uuid: str, attribute: Attribute) -> list[Listed]:
    """The files of an artifact as the server lists them. Raises SourceError if it does not know them (any
    more)."""
    digest = str(attribute.properties.get("hash", ""))
    params = {"projectIdentifier": project_uuid, "hash": digest}
    try:
        return downloads.api.get(f"{ARTIFACTS}/artifact/files", params, lambda answer: list(answer["files"]))
    except RequestRefusedError as error:
        raise SourceError(f"the server does not list the files of the artifact {digest}: {error}") from None


def store_listing(downloads: Downloads, attribute: Attribute, files: list[Listed]) -> FileRow:
    """The row of an artifact: its list as JSON."""
    stored = downloads.json(attribute.path, LISTING, files)
    return FileRow(attribute.path, AttributeType.ARTIFACT, stored)


def store_file(downloads: Downloads, attribute: Attribute, listed: Listed) -> FileRow:
    """One file of an artifact, as the attribute `<path>/<file path>`: only the very content that was tracked.
    Raises Unreachable, which says why."""
    file_path = str(listed.get("filePath", ""))
    path = f"{attribute.path}/{file_path}"
    metadata = _metadata(listed)
    local = str(listed.get("type", "")).lower() == "local"
    opened = _local(metadata) if local else _s3(metadata)
    digest = hashlib.sha1(usedforsecurity=False)  # what Neptune identifies local files by
    name = file_path.rsplit("/", 1)[-1]
    with opened as (chunks, tag), downloads.writer.create(downloads.run, path, name=name) as target:
        for chunk in chunks:
            digest.update(chunk)
            target.write(chunk)
        if (digest.hexdigest() if tag is None else tag) != listed.get("fileHash"):
            raise Unreachable("it has another content now")
    return FileRow(path, AttributeType.FILE, target.stored)


@contextmanager
def _local(metadata: Mapping[str, str]) -> Iterator[tuple[Iterator[bytes], str | None]]:
    """A file of this machine."""
    candidates = _places(metadata.get("file_path", ""))
    try:
        found = next((candidate for candidate in candidates if candidate.is_file()), None)
        stream = None if found is None else found.open("rb")
    except (OSError, ValueError) as error:
        raise Unreachable(getattr(error, "strerror", None) or type(error).__name__) from None
    if stream is None:
        raise Unreachable("it is not there")
    with stream:
        yield iter(lambda: stream.read(_CHUNK), b""), None


def _places(text: str) -> list[Path]:
    """Where a file may lie: the client writes the path as it is behind file://, others percent-encode it."""
    place = urlsplit(text)
    if place.scheme not in ("", "file") or place.netloc not in ("", "localhost") or not place.path:
        raise Unreachable("its place is not of this machine")
    return [Path(text.removeprefix("file://")), Path(unquote(place.path))]


@contextmanager
def _s3(metadata: Mapping[str, str]) -> Iterator[tuple[Iterator[bytes], str | None]]:
    """An object in S3, by the means of the client: boto3, its credentials, and S3_ENDPOINT_URL."""
    import os

    import boto3  # type: ignore[import-untyped]
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    place = urlsplit(metadata.get("location", ""))
    if place.scheme != "s3" or not place.netloc:
        raise Unreachable("its metadata names no place in S3")
    try:
        bucket = boto3.resource("s3", endpoint_url=os.environ.get("S3_ENDPOINT_URL")).Bucket(place.netloc)
        answer = bucket.Object(place.path.lstrip("/")).get()
        yield answer["Body"].iter_chunks(_CHUNK), str(answer["ETag"]).strip('"')
    except (BotoCoreError, ClientError) as error:
        raise Unreachable(type(error).__name__) from None


def _metadata(listed: Listed) -> dict[str, str]:
    """The server has a list of keys and values."""
    entries = listed.get("metadata") or []
    return {
        str(entry["key"]): str(entry["value"]) for entry in entries if "key" in entry and "value" in entry
    }
