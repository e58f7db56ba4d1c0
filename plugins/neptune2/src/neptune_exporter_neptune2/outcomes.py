"""The outcome of work for one attribute: a value also if it failed, so that other attributes are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from neptune_exporter.contract import SourceError
from neptune_exporter.toolkit.http_errors import StoppedError
from neptune_exporter_neptune2.values import Attribute

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """A result for an attribute, or the error."""

    attribute: Attribute
    value: T | None = None
    error: SourceError | None = None

    def result(self) -> T:
        """Raises SourceError if it failed."""
        if self.error is not None:
            raise self.error
        assert self.value is not None
        return self.value


def attempt(attribute: Attribute, call: Callable[[], T]) -> Outcome[T]:
    """Do something for an attribute; an error that concerns only this attribute becomes a value."""
    try:
        return Outcome(attribute, call())
    except StoppedError:
        raise
    except SourceError as error:
        return Outcome(attribute, None, error)
