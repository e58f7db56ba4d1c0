"""Single requests to an object store: what s3fs, gcsfs and adlfs share, and where they differ.

Uses fsspec's libraries and not `pyarrow.fs`, because they can create an object only if it does not exist: for
`mode="create"` s3fs 2026.9.0 sends `If-None-Match: *`, gcsfs 2026.10.1 `ifGenerationMatch=0`, and adlfs
2026.8.0 `overwrite=False`. The S3 file system of pyarrow cannot do this, and receipts and locks need it.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from neptune_exporter.contract import Secret
from neptune_exporter.errors import UsageError
from neptune_exporter.location import Location, is_secret_name
from neptune_exporter.redaction import one_line
from neptune_exporter.suggestions import how_to_add

LIBRARIES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
}
"""The package for each scheme; the first scheme of a package is also the extra that brings it."""
_OF_STORES = frozenset(
    {"adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "fsspec", "gcsfs", "google", "msal", "s3fs"}
)
_CONFLICTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "ConditionNotMet", "412"})
_RENEW = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"})
_ZONAL = "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"
_UPLOAD_BYTES = 16 << 20
"""Bytes of a piece of an upload, unless that would take too many pieces."""
_MOST_UPLOADS = 9_000
"""Pieces of one upload: S3 accepts 10,000 of at most 5 GiB each."""


class Object(NamedTuple):
    """What a store says about an object or a folder."""

    path: str
    is_file: bool
    size: int
    etag: str = ""
    changed: datetime | None = None
    """The time of the last change, by the clock of the store."""

    @property
    def version(self) -> int:
        """A number that changes with the content."""
        return int.from_bytes(hashlib.blake2b(self.etag.encode(), digest_size=7).digest(), "big")


class ConflictError(Exception):
    """The condition of a request was not met: the object exists already, or it has changed."""


def upload_bytes(size: int) -> int:
    """The size of the pieces in which a file is uploaded.

    Example:
        >>> upload_bytes(6 << 40) * 10_000 > 6 << 40
        True
    """
    return max(_UPLOAD_BYTES, -(-size // _MOST_UPLOADS))


class ObjectStore:
    """The objects below one address. Paths are relative to it. Errors of the library are raised unchanged."""

    def __init__(self, location: Location) -> None:
        """Raises UsageError if a package is not installed, or an option is wrong."""
        self._fs = _filesystem(location)
        self._root = location.address.partition("://")[2].strip("/")

    def get(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes of an object, or a range of them, in one request: without a range, s3fs also asks for the
        size."""
        return bytes(self._fs.cat_file(self._at(path), start=start, end=end))

    def put(self, path: str, data: bytes, *, create: bool = False, etag: str = "") -> None:
        """Write an object with one request: with `create` only if it does not exist, with `etag` only if it
        still has this ETag (if the store can check that). Raises ConflictError if that is not so."""
        name = self._at(path)
        try:
            if create:
                self._fs.pipe_file(name, data, mode="create")
            elif etag:
                self._replace(name, data, etag)
            else:
                self._fs.pipe_file(name, data)
        except Exception as error:
            if is_conflict(error):
                raise ConflictError(path) from error
            raise

    def _replace(self, name: str, data: bytes, etag: str) -> None:
        """Write an object that still has this ETag, if the store can check that."""
        self._fs.pipe_file(name, data)

    def put_file(self, path: str, file: Path) -> None:
        """Upload a file, in pieces if it is large. If that fails, the uploaded pieces are deleted."""
        self._fs.put_file(str(file), self._at(path), **self._upload_options(file.stat().st_size))

    def _upload_options(self, size: int) -> dict[str, Any]:
        return {}

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the store."""
        self._fs.cp_file(self._at(source), self._at(target))

    def delete(self, path: str) -> None:
        """Delete an object, if it exists."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._at(path))

    def head(self, path: str) -> Object | None:
        """The object or folder at a path; None if there is none."""
        try:
            return self._object(self._fs.info(self._at(path)))
        except FileNotFoundError:
            return None

    def holds(self, folder: str) -> bool:
        """Whether a folder has any content."""
        return self.head(folder) is not None

    def list(self, folder: str, *, recursive: bool = False, prefix: str = "") -> list[Object]:
        """The content of a folder, with `recursive` all objects below it; empty if there is no such
        folder."""
        with contextlib.suppress(FileNotFoundError):
            found = (self._object(info) for info in self._infos(self._at(folder), recursive, prefix))
            start = f"{folder}/{prefix}" if folder else prefix
            there = (each for each in found if each.path.startswith(start) and each.path != folder)
            if recursive:
                return [each for each in there if each.is_file]
            # In some libraries, a listing by prefix includes all depths.
            depth = folder.count("/") + 1 if folder else 0
            return [each for each in there if each.path.count("/") == depth]
        return []

    def _infos(self, folder: str, recursive: bool, prefix: str) -> Iterable[Mapping[str, Any]]:
        if recursive or prefix:
            found: Mapping[str, Mapping[str, Any]] = self._fs.find(folder, prefix=prefix, detail=True)
            return found.values()
        listed: Iterable[Mapping[str, Any]] = self._fs.ls(folder, detail=True)
        return listed

    def clear_uploads(self) -> int:
        """Delete interrupted uploads, if the store does not do so itself. Returns how many."""
        return 0

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def _object(self, info: Mapping[str, Any]) -> Object:
        path = str(info["name"]).strip("/").removeprefix(self._root).strip("/")
        if info.get("type") != "file":
            return Object(path, False, 0)
        etag = info.get("ETag") or info.get("etag") or info.get("generation") or ""
        changed = next(
            (info[k] for k in ("LastModified", "last_modified", "mtime", "updated") if k in info), None
        )
        return Object(path, True, int(info["size"] or 0), str(etag), _time(changed))


class S3Store(ObjectStore):
    """S3, and other stores with its protocol."""

    def _replace(self, name: str, data: bytes, etag: str) -> None:
        self._fs.pipe_file(name, data, IfMatch=etag)

    def _upload_options(self, size: int) -> dict[str, Any]:
        return {"chunksize": upload_bytes(size), "max_concurrency": 2}

    def head(self, path: str) -> Object | None:
        # `info` of s3fs takes another request, to see whether the path is a folder.
        bucket, _, key = self._at(path).partition("/")
        try:
            answer = self._fs.call_s3("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            return None
        return Object(path, True, answer["ContentLength"], answer.get("ETag", ""), answer.get("LastModified"))

    def holds(self, folder: str) -> bool:
        bucket, _, key = self._at(folder).partition("/")
        answer = self._fs.call_s3(
            "list_objects_v2", Bucket=bucket, Prefix=f"{key}/" if key else "", MaxKeys=1
        )
        return bool(answer.get("KeyCount"))

    def _infos(self, folder: str, recursive: bool, prefix: str) -> Iterable[Mapping[str, Any]]:
        # `ls` and `find` of s3fs ask again if they find nothing; with a prefix they take one request a page.
        parent, name = posixpath.split(folder)
        if not parent and not prefix:
            return super()._infos(folder, recursive, prefix)
        where, start = (folder, prefix) if prefix else (parent, f"{name}/")
        depth = {} if recursive else {"maxdepth": 1, "withdirs": True}
        found: Mapping[str, Mapping[str, Any]] = self._fs.find(where, prefix=start, detail=True, **depth)
        return found.values()

    def clear_uploads(self) -> int:
        bucket, _, key = self._root.partition("/")
        found = self._fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{key}/" if key else "")
        uploads = found.get("Uploads", [])
        for upload in uploads:
            with contextlib.suppress(FileNotFoundError):
                self._fs.abort_mpu(bucket, upload["Key"], upload["UploadId"])
        return len(uploads)


class AzureStore(ObjectStore):
    """Azure Blob Storage."""

    def _replace(self, name: str, data: bytes, etag: str) -> None:
        from azure.core import MatchConditions

        self._fs.pipe_file(name, data, etag=etag, match_condition=MatchConditions.IfNotModified)


class GoogleStore(ObjectStore):
    """Google Cloud Storage. Its condition is the number of an object's generation, which stands for the ETag.

    `pipe_file` of gcsfs 2026.10.1 has no condition but that there is no object, so a write with one is a
    request of our own: https://cloud.google.com/storage/docs/json_api/v1/objects/insert
    """

    def _replace(self, name: str, data: bytes, etag: str) -> None:
        bucket, key, _ = self._fs.split_path(name)
        self._fs.call(
            "POST",
            f"{self._fs._location}/upload/storage/v1/b/{quote(bucket)}/o",
            headers={"Content-Type": "application/octet-stream"},
            data=data,
            uploadType="media",
            name=key,
            ifGenerationMatch=etag,
        )

    def _object(self, info: Mapping[str, Any]) -> Object:
        return super()._object(info)._replace(etag=str(info.get("generation") or ""))


_KINDS = {"s3fs": S3Store, "adlfs": AzureStore, "gcsfs": GoogleStore}


def object_store(location: Location) -> ObjectStore:
    """The store of an address. Raises like `ObjectStore`."""
    kind = _KINDS.get(LIBRARIES.get(location.scheme, ""), ObjectStore)
    return kind(location)


def _filesystem(location: Location) -> Any:
    kind = _filesystem_class(location)
    try:
        # Each storage has its own instance, without fsspec's cache of listings: ours knows what we change.
        return kind(use_listings_cache=False, skip_instance_cache=True, **location.given())
    except (TypeError, ValueError, KeyError, OSError) as error:
        given = ", ".join(name for name, _ in location.options) or "none given"
        reason = one_line(str(error), 200) or type(error).__name__
        raise UsageError(
            f"{location} cannot be opened with these storage options ({given}): {reason}"
        ) from error


def _filesystem_class(location: Location) -> Any:
    scheme = location.scheme
    module = LIBRARIES.get(scheme, "fsspec")
    # Otherwise gcsfs 2026.10.1 asks each bucket for its layout over gRPC, and waits without end if only HTTP
    # gets through (seen with fake-gcs-server).
    os.environ.setdefault(_ZONAL, "false")
    _remember_credentials()
    try:
        import fsspec

        importlib.import_module(module)
        kind = fsspec.get_filesystem_class(scheme)
        if module == "gcsfs" and os.environ[_ZONAL].lower() not in ("true", "1"):
            # A program that has imported gcsfs before got the other one.
            kind = importlib.import_module("gcsfs.core").GCSFileSystem
        return kind
    except ImportError as error:
        package = module if scheme in LIBRARIES else (error.name or "its fsspec package")
        extra = next((name for name, library in LIBRARIES.items() if library == package), None)
        add = f"pip install {package}" if extra is None else how_to_add(extra, package)
        raise UsageError(f"{scheme}:// takes a package that is not installed; {add}") from error
    except ValueError as error:
        known = ", ".join(f"{each}://" for each in ("file", "s3", "gs", "az"))
        raise UsageError(f"{location}: fsspec knows no {scheme}://; known are {known}") from error


def _remember_credentials() -> None:
    """Secrets of the environment: `-vv` logs what the libraries send, which includes session tokens."""
    for name, value in os.environ.items():
        if name.startswith(("AWS_", "AZURE_")) and is_secret_name(name) and not name.endswith("_FILE"):
            for secret in (value, *re.findall(r"(?:AccountKey|SharedAccessSignature)=([^;]+)", value)):
                Secret(secret)


def is_conflict(error: BaseException) -> bool:
    """Whether an error means that the condition of a request was not met; each library says it
    differently."""
    if isinstance(error, FileExistsError):
        return True
    return code_of(error) in _CONFLICTS or type(error).__name__ in (
        "ResourceExistsError",
        "ResourceModifiedError",
    )


def code_of(error: BaseException | None) -> str:
    """The store's code for an error or for its cause; empty if it has none."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, Mapping) and isinstance(response.get("Error"), Mapping):
            return str(response["Error"].get("Code", ""))
        if (code := getattr(error, "error_code", None) or getattr(error, "code", None)) is not None:
            return str(getattr(code, "value", code))
        error = error.__cause__
    return ""


def is_of_store(error: BaseException) -> bool:
    """Whether an error comes from the store or the network, and is not a mistake of ours."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _OF_STORES


def reason_of(error: BaseException) -> str:
    """An error as one line, with advice about credentials."""
    lines = str(error).strip().splitlines()
    reason = one_line(lines[0] if lines else type(error).__name__, 300)
    if code_of(error) in _RENEW:
        return (
            f"{reason.rstrip('.')}: renew the credentials of the store and run again, what is done stays done"
        )
    if isinstance(error, PermissionError) or "redential" in type(error).__name__:
        return f"{reason.rstrip('.')}: check the credentials of the store and what they allow"
    return reason


def _time(value: Any) -> datetime | None:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(value.replace("Z", "+00:00"))
    return value if isinstance(value, datetime) else None
