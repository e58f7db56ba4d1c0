"""Which runs a page shows, in which order: text, regular expressions, comparisons, sorting, groups."""

from __future__ import annotations

import math
import operator
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from neptune_exporter.contract import UsageError
from neptune_exporter_explorer.statistics import metric_of
from neptune_exporter_explorer.table import RunsTable

_COMPARISON = re.compile(r"^(?P<column>\S.*?)\s*(?P<sign><=|>=|!=|!~|=|<|>|~)\s*(?P<value>.*)$")
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
_TEXT_COLUMNS = (":run", "sys/name", "sys/tags", "sys/group_tags", "sys/description")
_Test = Callable[[int], bool]


@dataclass(frozen=True)
class Query:
    """What the address of the page asks for."""

    text: str = ""
    project: str | None = None
    sort: str = ":run"
    descending: bool = False
    group: str | None = None
    columns: tuple[str, ...] = ()
    offset: int = 0
    limit: int = 100


@dataclass
class Answer:
    """Places of rows in the table."""

    total: int = 0
    rows: list[int] = field(default_factory=list)
    groups: list[tuple[Any, int]] = field(default_factory=list)


class Runner:
    """Answers queries of one table."""

    def __init__(self, table: RunsTable) -> None:
        self._table = table

    def answer(self, query: Query) -> Answer:
        """The rows of a page. Raises UsageError if the text contains an invalid regular expression."""
        table, total = self._table, len(self._table.rows)
        places = [
            place
            for place in range(total)
            if not table.rows[place].gone and query.project in (None, table.rows[place].key.project_id)
        ]
        for test in map(self._test, _terms(query.text)):
            places = [place for place in places if test(place)]
        places = self._sorted(places, query.sort, query.descending)
        groups: list[tuple[Any, int]] = []
        if query.group:
            places = self._sorted(places, query.group, False)
            values = (_shown(self.value(place, query.group)) for place in places)
            groups = list(Counter(values).items())
        page = places[query.offset : query.offset + query.limit]
        return Answer(len(places), page, groups)

    def value(self, place: int, column: str) -> Any:
        """A cell: a fact, a parameter, or a statistic of a metric that was read already."""
        metric = metric_of(column)
        if metric is None or column in self._table.columns:
            return self._table.value(place, column)
        row = self._table.rows[place]
        known = self._table.statistics.known(row.key, row.stamp, metric[0])
        return None if known is None else known[metric[1]]

    def metrics_needed(self, query: Query) -> list[str]:
        """The metrics that the answer depends on: they must be read of every run first."""
        columns = [query.sort, query.group or ""]
        columns += [m["column"] for term in _terms(query.text) if (m := _COMPARISON.match(term))]
        found = [metric_of(column) for column in columns if column not in self._table.columns]
        return [metric[0] for metric in found if metric is not None]

    def _sorted(self, places: list[int], column: str, descending: bool) -> list[int]:
        keyed = [(_order(self.value(place, column)), place) for place in places]
        there = [each for each in keyed if each[0] is not None]
        there.sort(key=operator.itemgetter(0), reverse=descending)
        return [place for _, place in there] + [place for order, place in keyed if order is None]

    def _test(self, term: str) -> _Test:
        match = _COMPARISON.match(term)
        if match is not None:
            column = match["column"]
            if column.startswith(":") or column in self._table.columns or metric_of(column) is not None:
                return self._comparison(column, match["sign"], match["value"])
        if len(term) > 2 and term[0] == term[-1] == "/":
            search = _pattern(term[1:-1]).search
            return lambda place: any(search(text) for text in self._texts(place))
        wanted = term.casefold()
        return lambda place: any(wanted in text.casefold() for text in self._texts(place))

    def _comparison(self, column: str, sign: str, value: str) -> _Test:
        if sign in ("~", "!~"):
            search = _pattern(value).search
            return lambda place: bool(search(_text(self.value(place, column)))) is (sign == "~")
        compare = _SIGNS[sign]

        def test(place: int) -> bool:
            found = self.value(place, column)
            if found is None:
                return sign == "!=" and value != ""
            number = _number(value)
            if isinstance(found, (int, float)) and not isinstance(found, bool) and number is not None:
                return compare(found, number)
            if isinstance(found, list):
                return (value in found) is (sign == "=")
            return compare(_text(found), value)

        return test

    def _texts(self, place: int) -> list[str]:
        values = (self._table.value(place, column) for column in _TEXT_COLUMNS)
        return [_text(value) for value in values if value is not None]


def _terms(text: str) -> list[str]:
    return [term.strip() for term in re.split(r"\s+and\s+|\n", text) if term.strip()]


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise UsageError(f"/{text}/ is not a regular expression: {error}") from error


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)


def _shown(value: Any) -> Any:
    return _text(value) if isinstance(value, list) else value


def _order(value: Any) -> Any:
    """A sort key for values of different types. None sorts last, and NaN last among numbers."""
    if value is None:
        return None
    if isinstance(value, bool):
        return 0, float(value), ""
    if isinstance(value, (int, float)):
        return (1, math.inf, "nan") if math.isnan(value) else (1, value, "")
    return 2, 0.0, _text(value).casefold()
