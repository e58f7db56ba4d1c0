"""Where Python looks for memory to free."""

from __future__ import annotations

import gc
import weakref

from neptune_exporter.toolkit.free_memory import few_collections, short_collections


class Circle:
    def __init__(self) -> None:
        self.itself = self


def test_older_objects_are_not_looked_through_until_the_end() -> None:
    for shorter in (short_collections, few_collections):
        before = Circle()
        older = weakref.ref(before)
        with shorter():
            newer = weakref.ref(Circle())
            del before
            gc.collect()
            assert (older() is None, newer() is None) == (False, True)
        gc.collect()
        assert older() is None
