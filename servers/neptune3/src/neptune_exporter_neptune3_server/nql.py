"""The query language of the search, as far as neptune-query's filters write it.

    (`sys/tags`:stringSet CONTAINS "a") AND (NOT (last(`loss`:floatSeries) >= "0.5"))

Grammar (from `_Filter.to_query` in neptune-query 1.14):

    either     = both { "OR" both }
    both       = negation { "AND" negation }
    negation   = "NOT" negation | "(" either ")" | predicate
    predicate  = attribute ( comparison value | ["NOT"] ("MATCHES" | "CONTAINS") value | "EXISTS" )
    attribute  = [ aggregation "(" ] "`" name "`" ":" type [ ")" ]

A predicate on an attribute that the run lacks is false; `NOT MATCHES` is the
negation of `MATCHES` (docs.neptune.ai/nql). What the language cannot say is
answered with 400, as by the real server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .errors import BadRequestError
from .model import backend_type
from .store import Holder
from .values import aggregate, millis

Condition = Callable[[Holder], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<name>`[^`]*`)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<sign>==|!=|>=|<=|[=<>():])|(?P<word>[^\s`"=!<>():]+))""",
    re.DOTALL,
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "=": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
}
_EQUALITY = frozenset({"==", "=", "!="})
_ORDER = frozenset(_COMPARISONS)
_TEXT = _EQUALITY | {"MATCHES", "CONTAINS"}
_OPERATORS: dict[str, frozenset[str]] = {
    "bool": _EQUALITY,
    "int": _ORDER,
    "float": _ORDER,
    "datetime": _ORDER,
    "string": _ORDER | _TEXT,
    "stringSet": frozenset({"CONTAINS"}),
    "stringSeries": _TEXT,
    "floatSeries": _ORDER,
    "fileRef": frozenset(),
}
"""EXISTS goes with all of them; other types are unknown to the language."""


@dataclass(frozen=True)
class _Attribute:
    name: str
    type: str
    aggregation: str

    def of(self, holder: Holder) -> Any:
        """The value that is compared, None if the run lacks the attribute."""
        return aggregate(holder.get(self.name), self.type, self.aggregation)

    def exists(self, holder: Holder) -> bool:
        value = holder.get(self.name)
        return value is not None and backend_type(value) == self.type


def compile_query(query: str) -> Condition:
    """The query as a function. Raises BadRequestError for what is not of the language."""
    parser = _Parser(list(_tokens(query)))
    condition = parser.either()
    if parser.peek() is not None:
        raise BadRequestError(f"the query goes on where it should end: {parser.peek()!r}")
    return condition


def _tokens(query: str) -> Iterator[str]:
    at = 0
    text = query.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadRequestError(f"the query cannot be read at {text[at : at + 20]!r}")
        at = match.end()
        yield match.group().strip() if match.lastgroup in ("sign", "word") else match.group().lstrip()


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    def peek(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self) -> str:
        token = self.peek()
        if token is None:
            raise BadRequestError("the query ends too early")
        self.at += 1
        return token

    def accept(self, *wanted: str) -> str | None:
        token = self.peek()
        if token is None or token not in wanted:
            return None
        self.at += 1
        return token

    def expect(self, wanted: str) -> None:
        if self.accept(wanted) is None:
            raise BadRequestError(f"the query has {self.peek()!r} where {wanted!r} is needed")

    def either(self) -> Condition:
        parts = [self.both()]
        while self.accept("OR"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else lambda holder: any(part(holder) for part in parts)

    def both(self) -> Condition:
        parts = [self.negation()]
        while self.accept("AND"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else lambda holder: all(part(holder) for part in parts)

    def negation(self) -> Condition:
        if self.accept("NOT"):
            inner = self.negation()
            return lambda holder: not inner(holder)
        if self.accept("("):
            inner = self.either()
            self.expect(")")
            return inner
        return self.predicate()

    def predicate(self) -> Condition:
        attribute = self.attribute()
        if self.accept("EXISTS"):
            return attribute.exists
        negated = self.accept("NOT") is not None
        operator = self.take()
        if operator not in _OPERATORS[attribute.type] or (negated and operator in _COMPARISONS):
            raise BadRequestError(f"{operator} cannot be asked of {attribute.type}")
        test = _test(attribute, operator, _literal(self.take()))

        def condition(holder: Holder) -> bool:
            value = attribute.of(holder)
            return (value is not None and test(value)) is not negated

        return condition

    def attribute(self) -> _Attribute:
        aggregation = self.accept("last", "min", "max", "average", "variance")
        if aggregation:
            self.expect("(")
        name = self.take()
        if not name.startswith("`"):
            raise BadRequestError(f"the query has {name!r} where an attribute is needed")
        self.expect(":")
        kind = self.take()
        if kind not in _OPERATORS:
            raise BadRequestError(f"attributes of type {kind!r} cannot be queried")
        if aggregation:
            self.expect(")")
        return _Attribute(name[1:-1], kind, aggregation or "last")


def _literal(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL) if token.startswith('"') else token


def _test(attribute: _Attribute, operator: str, text: str) -> Callable[[Any], bool]:
    if operator == "CONTAINS":
        return lambda value: text in value
    if operator == "MATCHES":
        pattern = compile_regex(text)
        return lambda value: pattern.search(value) is not None
    compare = _COMPARISONS[operator]
    wanted = _typed(attribute.type, text)
    return lambda value: compare(value, wanted)


def compile_regex(pattern: str) -> re.Pattern[str]:
    """Matched anywhere in the text. Raises BadRequestError."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise BadRequestError(f"not a regular expression: {pattern!r}: {error}") from error


def _typed(kind: str, text: str) -> Any:
    try:
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
        if kind == "datetime":
            return millis(datetime.fromisoformat(text.replace("Z", "+00:00")))
        if kind in ("int", "float", "floatSeries"):
            return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
    except (KeyError, ValueError) as error:
        raise BadRequestError(f"not a value of type {kind}: {text!r}") from error
    return text
