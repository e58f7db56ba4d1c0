"""The names of folders, parts and receipts of a dataset; no other code knows them.

    <data>/<project>/[models/|model_versions/]<run>_part_<N>.parquet
    <data>/<project>/[models/|model_versions/]_receipts/<run>.receipt.parquet
    <data>/<project>/[models/|model_versions/]_receipts/index.parquet       what the receipts say
    <data>/<project>/[models/|model_versions/]_receipts/checksums.parquet   of another tool's runs
    <data>/<project>/[models/|model_versions/]_damaged/…      parts that could not be read
    <files>/<project>/[models/|model_versions/]<run>/…
    <data>/<project>/part_<N>.parquet                         read only: rows of several runs
    <data>/.neptune-exporter/, <files>/.neptune-exporter/     the lock, whose files these are, and what is
                                                              being written

Projects, runs and parts have the names that the public neptune-exporter gives them, so that either tool finds
the other's exports. Only ids that would hide a run get other names: those too long for a file system, those
with `_part_` inside (that tool would not find them), and those that begin with `_` (pyarrow and pandas would
skip them). Everything else in the data folder has a name that pyarrow and pandas skip; because polars does
not skip it, it is Parquet without rows (`rowless`). Exceptions are unfinished and damaged parts. Receipts lie
beside their parts in a folder that is not hidden, so that a person who copies the parts copies them too.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from neptune_exporter.model import RunKey, RunKind

OWN_FOLDER = ".neptune-exporter"
LOCK = f"{OWN_FOLDER}/lock.parquet"
OWNER = f"{OWN_FOLDER}/dataset.parquet"
UNFINISHED = f"{OWN_FOLDER}/unfinished"
"""Our unfinished parts and pending receipts. Whoever holds the lock may delete them."""
UNFINISHED_FILES = f"{OWN_FOLDER}/unfinished-files"
RECEIPTS = "_receipts"
DAMAGED = "_damaged"
"""The folder of parts that could not be read when an export added to their run."""

KIND_FOLDERS = {RunKind.RUN: "", RunKind.MODEL: "models", RunKind.MODEL_VERSION: "model_versions"}

RECEIPT = ".receipt.parquet"
PENDING = ".pending.parquet"
INDEX = "index.parquet"
"""The index of the receipts in a folder, beside them."""
CUT_SHORT = ".tmp"
"""The ending of parts that other tools have not finished. We never delete them: they may be all that is left
of a run."""
SET_ASIDE = ".damaged"

_MAX_BYTES = 180
"""File systems allow 255 bytes for a name; a stem leaves room for what is put before and after it."""
_PART = re.compile(r"((?P<stem>.+)_)?part_(?P<number>\d+)\.parquet(?P<end>|\.tmp)", re.DOTALL)
_ODD = re.compile(r"[^\w-]")
"""A character that is neither `str.isalnum` nor `_` nor `-`."""
_OF_WINDOWS = frozenset({"thumbs.db", "desktop.ini"})
SANITISED = re.compile(r"(?P<name>.*)-[0-9a-f]{16}", re.DOTALL)


def sanitised(name: str) -> str:
    """The public tool's name for a project or run: odd characters replaced, then a digest."""
    return _readable(name) + "-" + _digest(name)


def stem(name: str) -> str:
    """Like `sanitised`, but never too long for a file system, without `_part_` inside or `_` at the start."""
    readable = _readable(name).lstrip("_").replace("_part_", "_part-")
    room = _MAX_BYTES - 17
    if len(readable.encode()) > room:
        readable = readable.encode()[:room].decode(errors="ignore")
    return readable + "-" + _digest(name)


_stem_of_project = lru_cache(maxsize=64)(stem)


def proven_id(name: str) -> str:
    """The id behind the name of a project or run, if its digest proves it; else the name as it is.

    For runs of which no row can be read. In the id of a project one `_` stands for the `/` of
    `workspace/project`.
    """
    match = SANITISED.fullmatch(name)
    readable = match["name"] if match else name
    slashes = (at.start() for at in re.finditer("_", readable))
    candidates = (readable, *(f"{readable[:at]}/{readable[at + 1 :]}" for at in slashes))
    return next((each for each in candidates if name.endswith(f"-{_digest(each)}")), name)


def _readable(name: str) -> str:
    return _ODD.sub("_", name)


def _digest(name: str) -> str:
    return hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).hexdigest()


@dataclass(frozen=True, order=True)
class Place:
    """Where one run lies: a folder below the data folder (and the files folder), and a name in it."""

    folder: str
    stem: str
    among_many: bool = field(default=False, compare=False)
    """The parts hold rows of other runs too, and are not named after this one. We never write there."""

    @classmethod
    def of(cls, key: RunKey) -> Place:
        return cls(_folder(_stem_of_project(key.project_id), key.kind), stem(key.run_id))

    @classmethod
    def candidates(cls, key: RunKey) -> tuple[Place, ...]:
        """Our name, the public tool's if it differs, and both as macOS unpacks them from an archive."""
        theirs = cls(_folder(sanitised(key.project_id), key.kind), sanitised(key.run_id))
        plain = (cls.of(key), theirs)
        if theirs.folder.isascii() and theirs.stem.isascii():
            return tuple(dict.fromkeys(plain))
        decomposed = (cls(_decomposed(place.folder), _decomposed(place.stem)) for place in plain)
        return tuple(dict.fromkeys([*plain, *decomposed]))

    @property
    def is_usual(self) -> bool:
        """Whether both names end in a digest, like ours, and like the public tool's since 2025-11-12."""
        names = (self.project_folder, self.stem)
        return not self.among_many and all(SANITISED.fullmatch(name) for name in names)

    @property
    def project_folder(self) -> str:
        """The folder in the files folder to which `file_value.path` is relative."""
        return self.folder.partition("/")[0]

    @property
    def kind(self) -> RunKind:
        sub = self.folder.partition("/")[2]
        return next(kind for kind, folder in KIND_FOLDERS.items() if folder == sub)

    @property
    def receipt(self) -> str:
        return f"{self.folder}/{RECEIPTS}/{self.stem}{RECEIPT}"

    @property
    def pending(self) -> str:
        """The pending receipt of a publication: its redo log."""
        return f"{self.folder}/{RECEIPTS}/{self.stem}{PENDING}"

    @property
    def files_folder(self) -> str:
        return f"{self.folder}/{self.stem}"

    def path(self, name: str) -> str:
        """The path of something in the run's folder."""
        return f"{self.folder}/{name}"

    def part_name(self, number: int) -> str:
        return f"part_{number}.parquet" if self.among_many else f"{self.stem}_part_{number}.parquet"


def _decomposed(name: str) -> str:
    return unicodedata.normalize("NFD", name)


def _folder(project_folder: str, kind: RunKind) -> str:
    sub = KIND_FOLDERS[kind]
    return f"{project_folder}/{sub}" if sub else project_folder


@dataclass(frozen=True)
class PartName:
    """What the name of a part says."""

    stem: str
    """Empty if the part holds rows of several runs, as the earlier tool wrote them before 2025-11-11."""
    number: int
    unfinished: bool = False
    """Whether another tool did not finish it."""


def is_passed_over(name: str) -> bool:
    """Whether a name is clutter of the system: hidden, such as `._*` of macOS, or left by Windows."""
    return name.startswith(".") or name.casefold() in _OF_WINDOWS


def parse_part(name: str) -> PartName | None:
    """Parse the name of a part; None if it is not one. The last `_part_` counts: an id may have one too."""
    match = _PART.fullmatch(name)
    if match is None or is_passed_over(name):
        return None
    return PartName(match["stem"] or "", int(match["number"]), match["end"] == CUT_SHORT)


def missing_parts(place: Place, names: Iterable[str]) -> list[str]:
    """Names of the parts that are missing below the highest number: parts are numbered without a gap."""
    numbers = {part.number for name in names if (part := parse_part(name))}
    return [place.part_name(n) for n in range(max(numbers, default=0)) if n not in numbers]


def is_data(path: str) -> bool:
    """Whether something below a project's folder is a part, or something that we keep beside parts."""
    *folders, name = path.split("/")
    return parse_part(name) is not None or not {RECEIPTS, DAMAGED}.isdisjoint(folders)


def checksums(folder: str) -> str:
    """The path of the recorded checksums of another tool's runs in this folder."""
    return f"{folder}/{RECEIPTS}/checksums.parquet"


def temporary(path: str) -> str:
    """The temporary path of something that is being written."""
    return f"{UNFINISHED}/{path.removeprefix(OWN_FOLDER + '/')}.tmp"


def set_aside(path: str) -> str:
    """Where an unreadable part is moved to."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{DAMAGED}/{name}{SET_ASIDE}"
