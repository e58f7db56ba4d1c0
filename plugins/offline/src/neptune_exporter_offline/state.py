"""The attributes of a run while its log is replayed: last assignment wins, clears and deletes take effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from neptune_exporter.contract import AttributeRequest
from neptune_exporter.model import AttributeType
from neptune_exporter_offline.problems import Problems
from neptune_exporter_offline.series import Series, Spill


@dataclass
class Attribute:
    """One attribute. Its type says what `value` is: a number, str, bool or aware datetime; a set of str; a
    `FileReference`; for a file set or artifact, the list of changes to it; for a series, a `Series`."""

    type: AttributeType
    value: Any
    wanted: bool
    """Whether the export asks for it. If not, its points are not kept."""
    previews: Series | None = None
    """Preview points of a metric, kept apart: which of them count is known only at the end."""
    captions: dict[str, Series] = field(default_factory=dict)
    """For a series of images: `name` and `description`, with the steps and times of the entries that have
    one."""

    def all_series(self) -> Iterator[Series]:
        yield from (s for s in (self.value, self.previews, *self.captions.values()) if isinstance(s, Series))


class State:
    """All attributes of one run."""

    def __init__(self, request: AttributeRequest, spill: Spill, problems: Problems) -> None:
        self.attributes: dict[str, Attribute] = {}
        self.problems = problems
        self._request = request
        self._spill = spill

    def assign(self, path: str, attribute_type: AttributeType, value: object) -> None:
        attribute = self._find(path, attribute_type)
        if attribute is None:
            self._create(path, attribute_type, value)
        elif attribute.type is attribute_type:
            attribute.value = value

    def series(self, path: str, attribute_type: AttributeType) -> Series | None:
        """The series that takes the points of an attribute; None if the export does not want them."""
        attribute = self.attributes.get(path)
        if attribute is None:
            attribute = self._create(path, attribute_type, None)
            if attribute.wanted:
                attribute.value = self._spill.new_series(attribute_type)
        elif attribute.type is not attribute_type:
            self._refuse(path, attribute.type, attribute_type)
            return None
        value: Series | None = attribute.value
        return value

    def previews(self, path: str) -> Series | None:
        """Where preview points of a metric go."""
        self.series(path, AttributeType.FLOAT_SERIES)
        attribute = self.attributes[path]
        if attribute.type is not AttributeType.FLOAT_SERIES or not attribute.wanted:
            return None
        if not self._request.wanted.metric_previews:
            self.problems.note("Preview points were left out; --include-metric-previews takes them")
            return None
        if attribute.previews is None:
            attribute.previews = self._spill.new_series(AttributeType.FLOAT_SERIES)
        return attribute.previews

    def caption(self, path: str, name: str) -> Series:
        """The series that takes the names or descriptions of images."""
        captions = self.attributes[path].captions
        if name not in captions:
            captions[name] = self._spill.new_series(AttributeType.STRING_SERIES)
        return captions[name]

    def clear_series(self, path: str, attribute_type: AttributeType) -> None:
        if self.series(path, attribute_type) is not None:
            for series in self.attributes[path].all_series():
                series.clear()

    def strings(self, path: str) -> set[str]:
        values: set[str] = self._container(path, AttributeType.STRING_SET, set)
        return values

    def changes(self, path: str, attribute_type: AttributeType) -> list[Any]:
        """The changes to a file set or artifact so far: a list to append to."""
        values: list[Any] = self._container(path, attribute_type, list)
        return values

    def delete(self, path: str) -> None:
        attribute = self.attributes.pop(path, None)
        for series in () if attribute is None else attribute.all_series():
            self._spill.forget(series)

    def set_default(self, path: str, attribute_type: AttributeType, value: object) -> None:
        """Set a single value that no operation of the log sets."""
        if path not in self.attributes:
            self._create(path, attribute_type, value)

    def ordered(self, types: Iterable[AttributeType]) -> Iterable[tuple[str, Attribute]]:
        """The wanted attributes of the given types, by path."""
        chosen = frozenset(types)
        paths = sorted(p for p, a in self.attributes.items() if a.wanted and a.type in chosen)
        return ((path, self.attributes[path]) for path in paths)

    def _container(self, path: str, attribute_type: AttributeType, make: type) -> Any:
        attribute = self._find(path, attribute_type)
        if attribute is None:
            attribute = self._create(path, attribute_type, make())
        # The attribute has another type: Neptune refuses the operation, so it has no effect.
        return attribute.value if attribute.type is attribute_type else make()

    def _find(self, path: str, attribute_type: AttributeType) -> Attribute | None:
        attribute = self.attributes.get(path)
        if attribute is not None and attribute.type is not attribute_type:
            self._refuse(path, attribute.type, attribute_type)
        return attribute

    def _create(self, path: str, attribute_type: AttributeType, value: object) -> Attribute:
        attribute = Attribute(attribute_type, value, self._request.includes(path, attribute_type))
        self.attributes[path] = attribute
        return attribute

    def _refuse(self, path: str, known: AttributeType, other: AttributeType) -> None:
        self.problems.add(
            path,
            other,
            f"a value of type {other} was logged to an attribute of type {known}; Neptune refuses that, "
            "and the attribute keeps its first type",
        )
