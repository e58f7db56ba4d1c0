"""`functools.cached_property` as it is since Python 3.12. Before, it takes a lock that all objects of a class
share, which costs more than most properties that are asked for of each run or part."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property as cached_property
else:
    import functools

    class cached_property(functools.cached_property):  # noqa: N801 - it stands for that one
        """Computed at the first use of each object."""

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            value = instance.__dict__[self.attrname] = self.func(instance)
            return value
