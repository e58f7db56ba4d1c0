"""Where everything of a dataset lies: the only code that knows the names of folders, parts and receipts.

    <data>/<project>/[models/|model_versions/]<run>_part_<N>.parquet
    <data>/<project>/[models/|model_versions/]<run>.receipt.json
    <files>/<project>/[models/|model_versions/]<run>/…
    <data>/.neptune-exporter/, <files>/.neptune-exporter/     ours alone: the lock, whose files these are,
                                                              files being written

The names of projects, runs and parts are those of the public neptune-exporter, so
that it finds ours and we find its; only ids that its own scheme cannot hold (too
long for a file system, or with `_part_` inside, which hides a run from its reader)
are named differently.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from neptune_exporter.model import RunKey, RunKind

OWN_FOLDER = ".neptune-exporter"
LOCK = f"{OWN_FOLDER}/lock"
OWNER = f"{OWN_FOLDER}/dataset.json"
UNFINISHED_FILES = f"{OWN_FOLDER}/unfinished"

KIND_FOLDERS = {RunKind.RUN: "", RunKind.MODEL: "models", RunKind.MODEL_VERSION: "model_versions"}

RECEIPT = ".receipt.json"
PENDING = ".pending.json"
TEMPORARY = ".neptune-exporter.tmp"
"""Of what we have not finished."""
UNFINISHED = ".tmp"
"""Of parts that other tools have not finished. Never deleted: they may be all that is left of a run."""

DAMAGED = ".damaged"
"""Of parts that could not be read when something was added to their run."""

_MAX_BYTES = 180
_PART = re.compile(
    r"(?P<stem>.+)_part_(?P<number>\d+)\.parquet(?P<end>|\.tmp|\.neptune-exporter\.tmp)", re.DOTALL
)
SANITISED = re.compile(r"(?P<name>.*)-[0-9a-f]{16}", re.DOTALL)


def sanitised(name: str) -> str:
    """The public tool's name for a project or run: odd characters replaced, then a digest."""
    return _readable(name) + "-" + _digest(name)


def stem(name: str) -> str:
    """As `sanitised`, but never too long for a file system and never with `_part_` inside."""
    readable = _readable(name).replace("_part_", "_part-")
    room = _MAX_BYTES - 17
    if len(readable.encode()) > room:
        readable = readable.encode()[:room].decode(errors="ignore")
    return readable + "-" + _digest(name)


def guessed_id(sanitised_name: str) -> str:
    """The id behind a name, for messages about what cannot be read: right if nothing was replaced."""
    match = SANITISED.fullmatch(sanitised_name)
    return match["name"] if match else sanitised_name


def _readable(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_-" else "_" for c in name)


def _digest(name: str) -> str:
    return hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).hexdigest()


@dataclass(frozen=True, order=True)
class Place:
    """Where one run lies: a folder below the data folder (and the files folder), and a name in it."""

    folder: str
    stem: str

    @classmethod
    def of(cls, key: RunKey) -> Place:
        return cls(_folder(stem(key.project_id), key.kind), stem(key.run_id))

    @classmethod
    def candidates(cls, key: RunKey) -> tuple[Place, ...]:
        """Ours, and the public tool's where it differs."""
        theirs = cls(_folder(sanitised(key.project_id), key.kind), sanitised(key.run_id))
        ours = cls.of(key)
        return (ours,) if ours == theirs else (ours, theirs)

    @classmethod
    def of_pending(cls, path: str) -> Place | None:
        """The place whose pending receipt has this path."""
        folder, _, name = path.rpartition("/")
        return cls(folder, name.removesuffix(PENDING)) if name.endswith(PENDING) else None

    @property
    def project_folder(self) -> str:
        """What `file_value.path` is relative to, below the files folder."""
        return self.folder.partition("/")[0]

    @property
    def kind(self) -> RunKind:
        sub = self.folder.partition("/")[2]
        return next(kind for kind, folder in KIND_FOLDERS.items() if folder == sub)

    @property
    def receipt(self) -> str:
        return f"{self.folder}/{self.stem}{RECEIPT}"

    @property
    def pending(self) -> str:
        """The receipt of a publication under way: its redo log."""
        return f"{self.folder}/{self.stem}{PENDING}"

    @property
    def files_folder(self) -> str:
        return f"{self.folder}/{self.stem}"

    def path(self, name: str) -> str:
        """Of something that lies in the run's folder."""
        return f"{self.folder}/{name}"

    def part_name(self, number: int) -> str:
        return f"{self.stem}_part_{number}.parquet"


def _folder(project_folder: str, kind: RunKind) -> str:
    sub = KIND_FOLDERS[kind]
    return f"{project_folder}/{sub}" if sub else project_folder


@dataclass(frozen=True)
class PartName:
    """What the name of a part tells."""

    stem: str
    number: int
    temporary: bool = False
    """Ours, and not finished."""
    unfinished: bool = False
    """Another tool's, and not finished."""


def parse_part(name: str) -> PartName | None:
    """Read the name of a part, or None. The last `_part_` counts: a run id may hold one too."""
    match = _PART.fullmatch(name)
    if match is None:
        return None
    end = match["end"]
    return PartName(match["stem"], int(match["number"]), end == TEMPORARY, end not in ("", TEMPORARY))


def missing_parts(place: Place, names: Iterable[str]) -> list[str]:
    """Names of the parts below the last one that are not among these: parts are numbered without a gap."""
    numbers = {part.number for name in names if (part := parse_part(name))}
    return [place.part_name(n) for n in range(max(numbers, default=0)) if n not in numbers]


def is_temporary(name: str) -> bool:
    """Whether a file beside the parts is one that we did not finish: a part, or a pending receipt."""
    part = parse_part(name)
    return part.temporary if part else name.endswith(PENDING + TEMPORARY)


def is_data(name: str) -> bool:
    """Whether it is the name of a part or a receipt, finished or not."""
    return parse_part(name) is not None or name.removesuffix(TEMPORARY).endswith((RECEIPT, PENDING))


def temporary(path: str) -> str:
    """Where something is written before it gets its name."""
    return path + TEMPORARY
