"""What is known about the objects below an address, from listings and from what was written since."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Iterable

from neptune_exporter.dataset.format.object_store import Object


class KnownObjects:
    """Remembers listings: one request lists thousands of objects, while asking for each takes one request
    each. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.RLock()
        self.forget()

    def forget(self) -> None:
        """Forget everything, because others may have written since."""
        with self._guard:
            self._objects: dict[str, Object] = {}
            self._prefixes: dict[str, set[str]] = {}
            """The prefixes of names that were listed, by folder."""
            self._lists: dict[tuple[str, str], list[Object]] = {}
            self._trees: dict[str, list[Object]] = {}
            """All objects below a folder, sorted."""
            self._looked: set[str] = set()
            """Folders whose whole content is known, from a listing and from what was written since."""

    def learn(self, folder: str, prefix: str, found: Iterable[Object]) -> None:
        """Remember the listing of a folder."""
        with self._guard:
            objects = sorted(found)
            self._objects.update((each.path, each) for each in objects if each.is_file)
            self._prefixes.setdefault(folder, set()).add(prefix)
            self._lists[folder, prefix] = objects

    def learn_tree(self, folder: str, found: Iterable[Object]) -> None:
        """Remember the listing of a folder and everything below it."""
        with self._guard:
            self._trees[folder] = sorted(found)
            self._looked.add(folder)
            self._objects.update((each.path, each) for each in self._trees[folder])

    def listed(self, folder: str, prefix: str) -> list[Object] | None:
        """The content of a folder; None if it is not known."""
        with self._guard:
            return self._lists.get((folder, prefix))

    def tree(self, folder: str) -> list[Object] | None:
        """All objects below a folder; None if they are not known."""
        with self._guard:
            for above in _ancestors(f"{folder}/"):
                if (found := self._trees.get(above)) is not None:
                    start = bisect.bisect_left(found, (f"{folder}/",))
                    end = bisect.bisect_left(found, (f"{folder}0",))  # the character after the slash
                    return found[start:end]
            return None

    def knows(self, path: str) -> bool:
        """Whether it is known that this object exists, or that it does not."""
        with self._guard:
            folder, _, name = path.rpartition("/")
            is_listed = any(name.startswith(prefix) for prefix in self._prefixes.get(folder, ()))
            return path in self._objects or is_listed or not self._looked.isdisjoint(_ancestors(path))

    def has_looked(self, folder: str, prefix: str, recursive: bool) -> bool:
        """Whether the content of a folder is known."""
        with self._guard:
            if recursive:
                return not self._looked.isdisjoint(_ancestors(f"{folder}/"))
            return prefix in self._prefixes.get(folder, ())

    def get(self, path: str) -> Object | None:
        """The object; None if it does not exist or is not known."""
        with self._guard:
            return self._objects.get(path)

    def written(self, found: Object) -> None:
        """Remember an object that was just written or asked for."""
        with self._guard:
            self._forget_lists(found.path)
            self._objects[found.path] = found

    def deleted(self, path: str) -> None:
        """Remember that an object was just deleted."""
        with self._guard:
            self._forget_lists(path)
            self._objects.pop(path, None)

    def _forget_lists(self, path: str) -> None:
        """Forget the listings that a change of this path makes wrong. Which folders are known whole stays."""
        above = set(_ancestors(path))
        for folder, prefix in [key for key in self._lists if key[0] in above]:
            del self._lists[folder, prefix]
        for folder in above & self._trees.keys():
            del self._trees[folder]


def _ancestors(path: str) -> Iterable[str]:
    while path:
        path = path.rpartition("/")[0]
        yield path
