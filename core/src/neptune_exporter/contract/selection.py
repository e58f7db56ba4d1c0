"""Which runs and which attributes a person asked for, as values that can be kept and compared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from neptune_exporter.model import ALL_CLASSES, AttributeClass, AttributeType, RunKey, RunKind

_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")
"""What makes a regular expression more than the text itself."""


@dataclass(frozen=True)
class RunSelection:
    """Which runs of a project. A run is taken if every given condition holds.

    Examples:
        >>> selection = RunSelection(patterns=("RUN-[0-9]+",))
        >>> selection.matches_id("RUN-12"), selection.matches_id("RUN-12-copy")
        (True, False)
    """

    patterns: tuple[str, ...] = ()
    """Regular expressions; one of them must match the whole run id."""
    ids: frozenset[str] = frozenset()
    """Exact run ids, an alternative to `patterns`."""
    include_archived: bool = False
    modified_since: datetime | None = None
    """Inclusive, aware."""
    modified_until: datetime | None = None
    """Exclusive, aware."""
    query: str | None = None
    """A query in Neptune's own language (NQL), for sources that take one."""
    kinds: frozenset[RunKind] = frozenset({RunKind.RUN})

    @property
    def named(self) -> frozenset[str]:
        """Ids that the user named one by one. A pattern without special characters names one too."""
        return self.ids | {p for p in self.patterns if not _SPECIAL.search(p)}

    @property
    def is_of_all_ids(self) -> bool:
        return not self.patterns and not self.ids

    def takes(self, key: RunKey, modified_at: datetime | None, *, is_archived: bool = False) -> bool:
        """Whether every condition holds. The query does not count: only a server can evaluate it.

        Examples:
            >>> RunSelection(ids=frozenset({"RUN-1"})).takes(RunKey("acme/vision", "RUN-1"), None)
            True
        """
        return (
            key.kind in self.kinds
            and self.matches_id(key.run_id)
            and self.matches_modified(modified_at)
            and (self.include_archived or not is_archived)
        )

    def matches_id(self, run_id: str) -> bool:
        """Whether the id is selected. Patterns match whole ids: `RUN-1` does not select `RUN-10`."""
        return self.is_of_all_ids or run_id in self.ids or any(re.fullmatch(p, run_id) for p in self.patterns)

    def matches_modified(self, modified_at: datetime | None) -> bool:
        """Whether the modification time is in range. An unknown time counts as in range."""
        if modified_at is None:
            return True
        if self.modified_since is not None and modified_at < self.modified_since:
            return False
        return self.modified_until is None or modified_at < self.modified_until


@dataclass(frozen=True)
class AttributeSelection:
    """Which attributes of a run: by path, and by class.

    Examples:
        >>> selection = AttributeSelection(pattern="^train/", classes=frozenset({AttributeClass.METRICS}))
        >>> selection.includes("train/loss", AttributeType.FLOAT_SERIES)
        True
        >>> selection.includes("train/batch_size", AttributeType.INT)
        False
    """

    pattern: str | None = None
    """A regular expression, searched anywhere in the path."""
    names: tuple[str, ...] = ()
    """Exact paths, an alternative to `pattern`."""
    classes: frozenset[AttributeClass] = ALL_CLASSES
    metric_previews: bool = False
    """Neptune 3.x: take preview points of metrics too."""
    others: bool = True
    """Whether to report attributes whose type this version does not know.
    `--exclude` leaves them in, `--classes` leaves them out."""

    def includes(self, path: str, attribute_type: AttributeType | None) -> bool:
        """Whether an attribute is selected. None stands for a type that this version does not know."""
        of_class = self.others if attribute_type is None else attribute_type.attribute_class in self.classes
        return of_class and self.includes_path(path)

    def includes_path(self, path: str) -> bool:
        if self.pattern is not None:
            return re.search(self.pattern, path) is not None
        return not self.names or path in self.names

    @property
    def is_everything(self) -> bool:
        return self.is_of_all_paths and self.classes == ALL_CLASSES and self.others

    @property
    def is_of_all_paths(self) -> bool:
        return self.pattern is None and not self.names


@dataclass(frozen=True)
class AttributeRequest:
    """What a source has to read of one run: what the user wants, less what the dataset already has.

    A source calls `includes` for every attribute that it finds. It needs to know nothing else about
    earlier exports.

    Examples:
        >>> request = AttributeRequest(covered=(AttributeSelection(names=("config/lr",)),))
        >>> [path for path in ("config/lr", "config/seed") if request.includes(path, AttributeType.FLOAT)]
        ['config/seed']
    """

    wanted: AttributeSelection = AttributeSelection()
    covered: tuple[AttributeSelection, ...] = ()
    """What earlier exports of this same state of the run asked for."""
    retry: frozenset[str] = frozenset()
    """Paths that failed in those exports. They are read again, although they are covered."""

    def includes(self, path: str, attribute_type: AttributeType | None) -> bool:
        """Whether to read the attribute now. With the type None: whether to report that it cannot be read."""
        if not self.wanted.includes(path, attribute_type):
            return False
        return not self.covered or path in self.retry or not self._is_covered(path, attribute_type)

    @property
    def classes(self) -> frozenset[AttributeClass]:
        """The classes that may have attributes to read. A source may skip all others."""
        if self.retry:
            return self.wanted.classes
        done = {k for c in self.covered if c.is_of_all_paths for k in c.classes if self._has_previews(c, k)}
        return self.wanted.classes - done

    @property
    def others(self) -> bool:
        """Whether to report attributes of unknown types."""
        covered = any(c.is_of_all_paths and c.others for c in self.covered)
        return self.wanted.others and (bool(self.retry) or not covered)

    def _is_covered(self, path: str, attribute_type: AttributeType | None) -> bool:
        kind = None if attribute_type is None else attribute_type.attribute_class
        return any(c.includes(path, attribute_type) and self._has_previews(c, kind) for c in self.covered)

    def _has_previews(self, covered: AttributeSelection, attribute_class: AttributeClass | None) -> bool:
        """Metrics exported without previews do not cover a wish for previews."""
        return (
            attribute_class is not AttributeClass.METRICS
            or covered.metric_previews
            or not self.wanted.metric_previews
        )
