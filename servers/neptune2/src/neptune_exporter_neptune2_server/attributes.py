"""What an attribute of a run, model, model version or project can hold, as Python values.

`type` is the name on the wire. Times are milliseconds since the epoch where the
protocol uses those (points), and aware datetimes elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

EPOCH_MS = 1_700_000_000_000
"""Where the times of points begin that a test does not give."""


@dataclass(frozen=True)
class Float:
    value: float
    type: ClassVar[str] = "float"


@dataclass(frozen=True)
class Int:
    """The protocol has 32 bits here."""

    value: int
    type: ClassVar[str] = "int"

    def __post_init__(self) -> None:
        if not -(2**31) <= self.value < 2**31:
            raise ValueError(f"{self.value} does not fit in the 32 bits that Neptune 2 has for an int")


@dataclass(frozen=True)
class Bool:
    value: bool
    type: ClassVar[str] = "bool"


@dataclass(frozen=True)
class String:
    value: str
    type: ClassVar[str] = "string"


@dataclass(frozen=True)
class Datetime:
    """An aware datetime; the wire has milliseconds."""

    value: datetime
    type: ClassVar[str] = "datetime"

    def __post_init__(self) -> None:
        if self.value.tzinfo is None:
            raise ValueError("a datetime without a time zone is not an instant")


@dataclass(frozen=True)
class StringSet:
    values: frozenset[str]
    type: ClassVar[str] = "stringSet"

    @classmethod
    def of(cls, *values: str) -> StringSet:
        return cls(frozenset(values))


@dataclass(frozen=True)
class RunState:
    """`running` or `idle`; the wire type is `experimentState`."""

    value: str = "idle"
    type: ClassVar[str] = "experimentState"


@dataclass(frozen=True)
class GitRef:
    commit_id: str
    message: str = ""
    author_name: str = ""
    author_email: str = ""
    commit_date: datetime = datetime.fromisoformat("2024-01-01T00:00:00+00:00")
    branch: str | None = None
    remotes: tuple[str, ...] = ()
    dirty: bool = False
    type: ClassVar[str] = "gitRef"


@dataclass(frozen=True)
class NotebookRef:
    """Its properties have no `value`: `fetch()` of the client fails on a run that has one."""

    notebook_id: str
    notebook_name: str | None = None
    checkpoint_id: str | None = None
    checkpoint_name: str | None = None
    type: ClassVar[str] = "notebookRef"


@dataclass(frozen=True)
class Unknown:
    """An attribute of a type that the client has never heard of."""

    type: str
    properties: Mapping[str, Any] = field(default_factory=dict)


class _Points:
    """Steps (doubles) and times (int64 milliseconds) of a series, one per value."""

    def __init__(self, count: int, steps: npt.ArrayLike | None, timestamps: npt.ArrayLike | None) -> None:
        self.steps: npt.NDArray[np.float64] = np.asarray(
            np.arange(count) if steps is None else steps, dtype=np.float64
        )
        self.timestamps: npt.NDArray[np.int64] = np.asarray(
            EPOCH_MS + 1000 * np.arange(count) if timestamps is None else timestamps, dtype=np.int64
        )
        if len(self.steps) != count or len(self.timestamps) != count:
            raise ValueError(f"{count} values, {len(self.steps)} steps, {len(self.timestamps)} timestamps")
        self.pages: dict[tuple[int, int, str], bytes] = {}
        """Serialised pages by offset, limit and NaN mode: a series is replaced, never edited."""

    def __len__(self) -> int:
        return len(self.steps)


class FloatSeries(_Points):
    type: ClassVar[str] = "floatSeries"

    def __init__(
        self,
        values: npt.ArrayLike,
        steps: npt.ArrayLike | None = None,
        timestamps: npt.ArrayLike | None = None,
    ) -> None:
        self.values: npt.NDArray[np.float64] = np.asarray(values, dtype=np.float64)
        super().__init__(len(self.values), steps, timestamps)
        self.summary: dict[str, float] | None = None
        """Statistics, computed when first asked for."""


class StringSeries(_Points):
    type: ClassVar[str] = "stringSeries"

    def __init__(
        self,
        values: Sequence[str],
        steps: npt.ArrayLike | None = None,
        timestamps: npt.ArrayLike | None = None,
    ) -> None:
        self.values = list(values)
        super().__init__(len(self.values), steps, timestamps)


@dataclass(frozen=True)
class Image:
    """One element of an image series. `step` and `timestamp_ms` come only from the channel endpoint."""

    content: bytes
    step: float
    timestamp_ms: int = EPOCH_MS
    content_type: str = "image/png"
    name: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class ImageSeries:
    images: tuple[Image, ...]
    type: ClassVar[str] = "imageSeries"


@dataclass(frozen=True)
class File:
    """A file: bytes, or a path that is streamed. `ext` has no dot and may be empty."""

    content: bytes | Path
    ext: str = ""
    name: str | None = None
    """As the server shows it; without it, the last part of the attribute path with the extension."""
    type: ClassVar[str] = "file"

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


@dataclass(frozen=True)
class FileSet:
    """Files by their path inside the set, with `/` between folders."""

    files: Mapping[str, bytes]
    mtime: datetime = datetime.fromisoformat("2024-01-01T00:00:00+00:00")
    type: ClassVar[str] = "fileSet"

    @property
    def size(self) -> int:
        return sum(len(content) for content in self.files.values())


@dataclass(frozen=True)
class ArtifactFile:
    """A tracked file: metadata only, Neptune never had its bytes."""

    path: str
    hash: str
    size: int | None
    kind: str = "Local"
    """`Local` or `S3`."""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def local(cls, source: Path, path: str | None = None) -> ArtifactFile:
        """A file of this machine, described as the client's `track_files` does (the time local and naive)."""
        stat = source.stat()
        return cls(
            path or source.name,
            hashlib.sha1(source.read_bytes()).hexdigest(),
            stat.st_size,
            "Local",
            {
                "file_path": source.resolve().as_uri(),
                "last_modified": datetime.fromtimestamp(stat.st_mtime).strftime("%Y-%m-%d %H:%M:%S"),
            },
        )


@dataclass(frozen=True)
class Artifact:
    """A hash, and the listing behind it. `files=None` is a hash that the server does not know (any more)."""

    files: tuple[ArtifactFile, ...] | None
    given_hash: str | None = None
    type: ClassVar[str] = "artifact"

    @property
    def hash(self) -> str:
        if self.given_hash is not None:
            return self.given_hash
        lines = sorted(f"{file.path} {file.hash}" for file in self.files or ())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


Attribute: TypeAlias = (
    Float
    | Int
    | Bool
    | String
    | Datetime
    | StringSet
    | RunState
    | GitRef
    | NotebookRef
    | Unknown
    | FloatSeries
    | StringSeries
    | ImageSeries
    | File
    | FileSet
    | Artifact
)
