"""The query language of the runs table, as far as the client and its users need it.

    expression := conjunction (OR conjunction)*
    conjunction := term (AND term)*
    term := NOT term | '(' expression ')' | condition
    condition := operand operator value | operand [NOT] EXISTS
    operand := name ':' type | function '(' name ':' type ')'
    operator := = != > >= < <= | [NOT] CONTAINS | [NOT] MATCHES

Names may stand in backquotes, values in single or double quotes; keywords are
case-insensitive. A condition holds only for an attribute of exactly the type it
names, so on a missing attribute every condition but NOT EXISTS is false.
MATCHES searches for a regular expression anywhere in the value.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from neptune_exporter_neptune2_server.attributes import (
    Artifact,
    Attribute,
    Bool,
    Datetime,
    Float,
    FloatSeries,
    Int,
    RunState,
    String,
    StringSeries,
    StringSet,
)
from neptune_exporter_neptune2_server.project import FakeContainer
from neptune_exporter_neptune2_server.wire import statistics

Predicate = Callable[[FakeContainer], bool]
Comparison = Callable[[Any, Any], bool]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<name>`[^`]*`)
      | (?P<text>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*')
      | (?P<sign><=|>=|!=|=|<|>|\(|\)|:)
      | (?P<word>[^\s()`"'=<>!:]+)
    )""",
    re.VERBOSE,
)
_TYPES = {"integer": "int", "boolean": "bool"}
_FUNCTIONS = ("last", "min", "max", "average", "variance")
_RELATIVE = re.compile(r"-(\d+)([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_COMPARISONS: dict[str, Comparison] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "CONTAINS": operator.contains,
    "MATCHES": lambda value, pattern: re.search(pattern, value) is not None,
}
_OPERATORS = {
    "string": ("=", "!=", ">", ">=", "<", "<=", "CONTAINS", "MATCHES"),
    "stringSeries": ("=", "!=", "CONTAINS", "MATCHES"),
    "stringSet": ("CONTAINS",),
    "bool": ("=", "!="),
    "experimentState": ("=", "!="),
    "artifact": ("=", "!="),
}
_NUMERIC_OPERATORS = ("=", "!=", ">", ">=", "<", "<=")


class NqlError(ValueError):
    """The query cannot be understood; the server answers 400 "Syntax error"."""


def parse(query: str) -> Predicate:
    """A predicate for a query; the empty query holds for everything. Raises NqlError."""
    parser = _Parser(_tokens(query))
    if parser.peek() is None:
        return lambda container: True
    predicate = parser.expression()
    if parser.peek() is not None:
        raise NqlError(f"unexpected {parser.peek()} in {query!r}")
    return predicate


def comparable(attribute: Attribute | None, function: str = "last") -> Any:
    """What an attribute is compared and sorted by; None if it has nothing of the kind."""
    match attribute:
        case Float() | Int() | Bool() | String() | RunState():
            return attribute.value
        case Datetime():
            return attribute.value
        case StringSet():
            return attribute.values
        case Artifact():
            return attribute.hash
        case FloatSeries():
            return statistics(attribute).get(function)
        case StringSeries():
            return attribute.values[-1] if attribute.values else None
        case _:
            return None


def _tokens(query: str) -> list[tuple[str, str]]:
    found, position = [], 0
    end = len(query.rstrip())
    while position < end:
        match = _TOKEN.match(query, position)
        if match is None:
            raise NqlError(f"cannot read {query[position:]!r}")
        kind = str(match.lastgroup)
        text = match[kind]
        if kind == "text":
            text = re.sub(r"\\(.)", r"\1", text[1:-1])
        elif kind == "name":
            text = text[1:-1]
        found.append((kind, text))
        position = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> tuple[str, str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def expression(self) -> Predicate:
        parts = [self._conjunction()]
        while self._keyword("OR"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else lambda container: any(part(container) for part in parts)

    def _conjunction(self) -> Predicate:
        parts = [self._term()]
        while self._keyword("AND"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else lambda container: all(part(container) for part in parts)

    def _term(self) -> Predicate:
        if self._keyword("NOT"):
            negated = self._term()
            return lambda container: not negated(container)
        if self._sign("("):
            inner = self.expression()
            self._expect(")")
            return inner
        return self._condition()

    def _condition(self) -> Predicate:
        function = "last"
        name = self._next("name", "word", "text")
        if name.lower() in _FUNCTIONS and self._sign("("):
            function = name.lower()
            name = self._next("name", "word", "text")
            kind = self._type()
            self._expect(")")
        else:
            kind = self._type()
        negated = self._keyword("NOT")
        if self._keyword("EXISTS"):
            return lambda c: (name in c.attributes and c.attributes[name].type == kind) is not negated
        sign = self._next("sign", "word").upper()
        allowed = _OPERATORS.get(kind, _NUMERIC_OPERATORS)
        if sign not in allowed or (negated and sign not in ("CONTAINS", "MATCHES")):
            raise NqlError(f"{sign} is no operator for {kind}")
        value = _value(kind, self._next("text", "word"), sign)
        compare = _COMPARISONS[sign]

        def condition(container: FakeContainer) -> bool:
            attribute = container.attributes.get(name)
            if attribute is None or attribute.type != kind:
                return False
            actual = comparable(attribute, function)
            return actual is not None and compare(actual, value) is not negated

        return condition

    def _type(self) -> str:
        self._expect(":")
        kind = self._next("word")
        return _TYPES.get(kind, kind)

    def _keyword(self, word: str) -> bool:
        token = self.peek()
        found = token is not None and token[0] == "word" and token[1].upper() == word
        self._at += found
        return found

    def _sign(self, sign: str) -> bool:
        found = self.peek() == ("sign", sign)
        self._at += found
        return found

    def _expect(self, sign: str) -> None:
        if not self._sign(sign):
            raise NqlError(f"expected {sign!r}, found {self.peek()}")

    def _next(self, *kinds: str) -> str:
        token = self.peek()
        if token is None or token[0] not in kinds:
            raise NqlError(f"expected {' or '.join(kinds)}, found {token}")
        self._at += 1
        return token[1]


def _value(kind: str, text: str, sign: str) -> Any:
    if sign == "MATCHES":
        try:
            return re.compile(text)
        except re.error as error:
            raise NqlError(f"{text!r} is no regular expression: {error}") from error
    try:
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
        if kind in ("int", "float", "floatSeries"):
            return float(text)
        if kind == "datetime":
            return _instant(text)
    except (KeyError, ValueError) as error:
        raise NqlError(f"{text!r} is no {kind}") from error
    return text


def _instant(text: str) -> datetime:
    """An ISO time (UTC unless it says otherwise), or one before now such as `-2h`, `-3d`, `-1w`."""
    relative = _RELATIVE.fullmatch(text)
    if relative is not None:
        return datetime.now(timezone.utc) - timedelta(**{_UNITS[relative[2]]: int(relative[1])})
    instant = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=timezone.utc)
