"""Collects what could not be read and what a person should know. Equal messages become one, with a count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from neptune_exporter.contract import AttributeFailure
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.toolkit import clean


class Unreadable(Exception):  # noqa: N818 - turned into an AttributeFailure, never shown as an error
    """One value or file cannot be read. `permanent`: no later export can succeed either."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class Problems:
    """Failures and notes of one run."""

    def __init__(self) -> None:
        self._failures: Counter[tuple[str, AttributeType | None, str, bool]] = Counter()
        self._notes: Counter[str] = Counter()

    def add(
        self, path: str, attribute_type: AttributeType | None, message: str, *, permanent: bool = True
    ) -> None:
        """One more failure. An empty path means the run as a whole."""
        self._failures[path, attribute_type, message, permanent] += 1

    def add_once(self, message: str, *, permanent: bool) -> None:
        """A failure of the whole run that the next export recognises by its message: it gets no count."""
        self._failures["", None, message, permanent] = 1

    def add_unreadable(self, path: str, attribute_type: AttributeType, problem: Unreadable) -> None:
        """A failure of an attribute, of which a value or file cannot be read."""
        self.add(path, attribute_type, str(problem), permanent=problem.permanent)

    def note(self, message: str, count: int = 1) -> None:
        """Something that a person should know, though no data is lost. Notes with a count end in it."""
        self._notes[message] += count

    def take_failures(self, run: RunKey) -> Iterator[AttributeFailure]:
        """The failures since the last call."""
        failures, self._failures = self._failures, Counter()
        for (path, attribute_type, message, permanent), count in failures.items():
            times = "" if count == 1 else f" ({count:,} times)"
            yield AttributeFailure(run, path, attribute_type, clean(message) + times, permanent=permanent)

    def notes(self) -> tuple[str, ...]:
        counted = ((clean(message), count) for message, count in self._notes.items())
        return tuple(f"{message} ({count:,})" if count > 1 else message for message, count in counted)


def shown(path: str) -> str:
    """The path, quoted and escaped if it holds characters that a terminal cannot show."""
    return path if path.isprintable() else repr(path)
