"""The query language, on its own."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neptune_exporter_neptune2_server import (
    Artifact,
    Bool,
    Datetime,
    FakeContainer,
    FakeProject,
    Float,
    FloatSeries,
    Int,
    RunState,
    String,
    StringSeries,
    StringSet,
)
from neptune_exporter_neptune2_server.nql import NqlError, parse


@pytest.fixture(scope="module")
def run() -> FakeContainer:
    return FakeProject("team", "cats").add_run(
        {
            "f": Float(0.5),
            "nan": Float(math.nan),
            "n": Int(-3),
            "b": Bool(False),
            "text": String('say "hi" to O\'Brien'),
            "odd name/AND": String("x"),
            "old": Datetime(datetime(2024, 3, 1, 12, tzinfo=timezone.utc)),
            "new": Datetime(datetime.now(timezone.utc) - timedelta(minutes=30)),
            "tags": StringSet.of("a", "b c"),
            "state": RunState("idle"),
            "loss": FloatSeries([4.0, 1.0, 2.0]),
            "empty": FloatSeries([]),
            "log": StringSeries(["first", "the last"]),
            "art": Artifact((), "abc"),
        }
    )


@pytest.mark.parametrize(
    "query",
    [
        "",
        "  ",
        "f:float = 0.5",
        "(f: float >= 0.5)",
        "`f`:float < 1e3",
        "n:int = -3",
        "`n`:integer <= -3",
        "b:bool = false",
        'b:bool != "true"',
        'text:string CONTAINS "say \\"hi\\""',
        "text:string contains 'O\\'Brien'",
        'text:string NOT CONTAINS "bye"',
        'text:string MATCHES "h.\\""',
        'text:string NOT MATCHES "^hi"',
        'text:string > "say"',
        "`odd name/AND`:string = x",
        '`sys/id`:string = "SAN-1"',
        "sys/id:string = SAN-1",
        'old:datetime = "2024-03-01T12:00:00Z"',
        'old:datetime = "2024-03-01T13:00:00.000+01:00"',
        'old:datetime < "2024-03-02"',
        'new:datetime > "-1h"',
        'NOT new:datetime > "-0h"',
        'new:datetime > "-2d" AND new:datetime > "-1w"',
        'tags:stringSet CONTAINS "b c"',
        "tags:stringSet NOT CONTAINS b",
        "state:experimentState = idle",
        "loss:floatSeries = 2",
        "(last(loss:floatSeries) = 2) AND (min(loss:floatSeries) = 1) AND (max(`loss`:floatSeries) = 4)",
        "average(loss:floatSeries) > 2.3 and variance(loss:floatSeries) < 2",
        'log:stringSeries CONTAINS "last"',
        'art:artifact = "abc"',
        "f:float EXISTS",
        "f:int NOT EXISTS",
        "missing:float NOT EXISTS",
        "NOT missing:float = 1",
        "f:float = 9 OR f:float = 0.5 AND n:int = -3",
        "NOT (f:float = 9 OR n:int = 9)",
        "NOT NOT f:float = 0.5",
    ],
)
def test_what_holds(run: FakeContainer, query: str) -> None:
    assert parse(query)(run) is True


@pytest.mark.parametrize(
    "query",
    [
        "f:float > 0.5",
        "f:int = 0.5",  # another type
        "missing:float != 1",
        "missing:float EXISTS",
        "empty:floatSeries = 0",
        "nan:float = nan",
        "(f:float = 0.5 OR n:int = -3) AND b:bool = true",
        "NOT f:float = 0.5",
        "tags:stringSet CONTAINS b",  # not a part of an element
        'text:string MATCHES "^hi"',
    ],
)
def test_what_does_not_hold(run: FakeContainer, query: str) -> None:
    assert parse(query)(run) is False


@pytest.mark.parametrize(
    "query",
    [
        "key: float = (-_-)",
        "f:float",
        "f = 1",
        "f:float = ",
        "f:float = x",
        "b:bool = maybe",
        'old:datetime > "soon"',
        "tags:stringSet = a",
        "f:float CONTAINS 1",
        "f:float = 1 AND",
        "f:float = 1 f:float = 2",
        "(f:float = 1",
        "last(loss:floatSeries = 1",
        'text:string MATCHES "("',
        'text:string = "open',
        "f:float NOT = 1",
        "AND",
    ],
)
def test_what_is_no_query(query: str) -> None:
    with pytest.raises(NqlError):
        parse(query)


@given(st.text(alphabet="`\":()=<>! '\\-afloatNOTANDsys/5.", max_size=40))
def test_any_text_is_a_query_or_an_error(text: str) -> None:
    try:
        predicate = parse(text)
    except NqlError:
        return
    assert isinstance(predicate(FakeProject("team", "cats").add_run()), bool)


@given(st.text(max_size=30))
def test_any_value_can_be_quoted(value: str) -> None:
    run = FakeProject("team", "cats").add_run({"s": String(value)})
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    assert parse(f'`s`:string = "{quoted}"')(run)
