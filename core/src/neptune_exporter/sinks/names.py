"""Names that a target accepts, a different one for each attribute.

A name that the target accepts stays as it is. Any other is cleaned, shortened and given
a digest of the original; the loader keeps the original beside it.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

_MAX_FILE_NAME_BYTES = 180
_LONGEST_SUFFIX = 12
"""What follows the last dot counts as an extension only up to this length."""


def digest(*parts: str) -> str:
    """Twelve hex digits that differ for different parts.

    Examples:
        >>> digest("acme/vision", "RUN-1") == digest("acme", "vision/RUN-1")
        False
    """
    text = "\0".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def shortened(text: str, max_bytes: int, mark: str) -> str:
    """As much of the beginning as fits together with `~mark`, without splitting a character.

    Examples:
        >>> shortened("a very long name", 12, "1a2b")
        'a very ~1a2b'
    """
    room = max_bytes - len(mark) - 1
    return text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore") + "~" + mark


def printable(text: str) -> str:
    """The text with an underscore for each control character and lone surrogate.

    Examples:
        >>> printable("train" + chr(0) + "/loss")
        'train_/loss'
    """
    if text.isprintable():
        return text
    return "".join(c if c == " " or c.isprintable() else "_" for c in text)


def only(characters: str) -> Callable[[str], str]:
    """A cleaner that replaces all other characters.

    Examples:
        >>> only("A-Za-z0-9_/")("a b/c")
        'a_b/c'
    """
    others = re.compile(f"[^{characters}]")
    return lambda name: others.sub("_", name)


def path_parts(name: str) -> str:
    """Parts that a storage would resolve or drop (empty, `.`, `..`) replaced by an underscore.

    Examples:
        >>> path_parts("../model//weights")
        '_/model/_/weights'
    """
    return "/".join("_" if part.strip(".") == "" else part for part in name.split("/"))


def file_name(name: str, *identity: str) -> str:
    """A name that can be part of a storage key. A name that must be changed gets the digest of `identity`.

    Examples:
        >>> file_name("weights.pt", "model"), file_name("best/weights.pt", "model")
        ('weights.pt', 'best_weights~...pt')
    """
    clean = printable(name).replace("/", "_").replace("\\", "_").strip()
    if clean == name and name.strip(".") and len(name.encode()) <= _MAX_FILE_NAME_BYTES:
        return name
    stem, dot, extension = clean.rpartition(".")
    if not stem or len(extension) > _LONGEST_SUFFIX:
        stem, dot, extension = clean.strip(".") or "file", "", ""
    tail = dot + extension
    return shortened(stem, _MAX_FILE_NAME_BYTES - len(tail.encode()), digest(*identity)) + tail


@dataclass(frozen=True)
class NameRule:
    """Which names a target accepts.

    Examples:
        At most 250 letters, digits and slashes, and `A` is the same as `a`:

        >>> rule = NameRule(250, "characters", clean=only("A-Za-z0-9/"), folds_case=True, mark="/")
        >>> rule.takes("train/loss"), rule.takes("train loss")
        (True, False)
    """

    longest: int | None = None
    unit: Literal["bytes", "characters"] = "bytes"
    clean: Callable[[str], str] = printable
    """Gives the nearest name of allowed characters. A name that it does not change is allowed."""
    folds_case: bool = False
    """To the target `A` and `a` are the same name."""
    reserved: frozenset[str] = frozenset()
    mark: str = "~"
    """Stands before the digest of a changed name; the target must allow it."""
    paths: bool = False
    """The names are paths of files: a changed one keeps its extension, and no name is a folder of another."""

    def takes(self, name: str) -> bool:
        """Whether the target accepts the name as it is."""
        fits = self.longest is None or self._length(name) <= self.longest
        return bool(name.strip()) and fits and name not in self.reserved and self.clean(name) == name

    def marked(self, name: str, mark: str) -> str:
        """A name like this one that the target accepts, with the mark at its end."""
        clean, tail = self.clean(name).strip() or "_", self.mark + mark
        if self.paths:
            suffix = PurePosixPath(clean).suffix
            if len(suffix) <= _LONGEST_SUFFIX:
                clean, tail = clean.removesuffix(suffix), tail + suffix
        if self.longest is not None:
            clean = self._beginning(clean, self.longest - self._length(tail))
        return clean + tail

    def same(self, name: str) -> str:
        """A form of the name that is equal for all names that are the same to the target."""
        return name.casefold() if self.folds_case else name

    def folders(self, name: str) -> list[str]:
        """The folders of this name, which no file can be called."""
        return [self.same(str(folder)) for folder in PurePosixPath(name).parents] if self.paths else []

    def _length(self, name: str) -> int:
        return len(name.encode("utf-8", "replace")) if self.unit == "bytes" else len(name)

    def _beginning(self, name: str, room: int) -> str:
        if self.unit == "characters":
            return name[:room]
        return name.encode("utf-8", "replace")[:room].decode("utf-8", "ignore")


class NameBook:
    """The names of one run in a target.

    If two attributes want the same name, the first that asks gets it. So whatever reads a run must ask for
    names in the same order.

    Args:
        rule: For calls of `name` without a rule.

    Examples:
        >>> book = NameBook(NameRule(clean=only("A-Za-z0-9/_")))
        >>> book.name("train/loss"), book.name("train loss")
        ('train/loss', 'train_loss~...')
        >>> dict(book.changed())
        {'train_loss~...': 'train loss'}
    """

    def __init__(self, rule: NameRule) -> None:
        self._rule = rule
        self._names: dict[tuple[str, str], str] = {}
        self._taken: set[str] = set()
        self._folders: set[str] = set()
        self._used: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def name(self, path: str, kind: str = "", *, rule: NameRule | None = None, used: bool = True) -> str:
        """The name for an attribute; the same for the same path and kind.

        Args:
            kind: Distinguishes two names of one path, for instance where points and a file may not share one.
            used: False: only reserve the name.
        """
        key = (path, kind)
        with self._lock:
            known = self._names.get(key)
            if known is None:
                rule = rule or self._rule
                known = self._new(path, kind, rule)
                self._names[key] = known
                self._taken.add(rule.same(known))
                self._folders.update(rule.folders(known))
            if used:
                self._used.add(key)
            return known

    def _new(self, path: str, kind: str, rule: NameRule) -> str:
        if rule.takes(path) and self._is_free(path, rule):
            return path
        mark = digest(path, kind)
        while not self._is_free(name := rule.marked(path, mark), rule):
            path, mark = rule.clean(path).replace("/", "_"), digest(mark, path, kind)
        return name

    def _is_free(self, name: str, rule: NameRule) -> bool:
        same = rule.same(name)
        clear = same not in self._taken and same not in self._folders
        return clear and self._taken.isdisjoint(rule.folders(name))

    def by_type(self) -> Mapping[str, list[str]]:
        """All names that are used, by kind."""
        types: dict[str, list[str]] = {}
        with self._lock:
            for key, name in self._names.items():
                if key in self._used:
                    types.setdefault(key[1], []).append(name)
        return types

    def changed(self) -> Iterator[tuple[str, str]]:
        """The names in use that differ from the path of their attribute, each with that path."""
        with self._lock:
            items = [(key, name) for key, name in self._names.items() if key in self._used]
        return ((name, path) for (path, _), name in items if name != path)
