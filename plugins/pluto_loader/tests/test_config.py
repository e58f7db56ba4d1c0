"""Parameters arrive readable, whatever JSON, JavaScript and PostgreSQL think of them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neptune_exporter.contract import Parameter
from neptune_exporter.model import AttributeType
from neptune_exporter_pluto.form.config import (
    SECTION,
    ParametersConfig,
    kept_number,
    parameters_config,
    pieces,
)


def config_of(**values: Any) -> ParametersConfig:
    return parameters_config({path: Parameter(path, AttributeType.STRING, v) for path, v in values.items()})


@pytest.mark.parametrize(
    ("value", "stored", "how"),
    [
        (1.5, 1.5, None),
        (True, True, None),
        (2**53, 2**53, None),
        (2**53 + 1, "9007199254740993", "integer as text"),
        (-(2**63), "-9223372036854775808", "integer as text"),
        (0.1 + 0.2, 0.3, None),
        (1.7976931348623157e308, "1.7976931348623157e+308", "number as text"),
        (float("nan"), "NaN", "number as text"),
        (float("-inf"), "-Infinity", "number as text"),
        ("a\0b", "a\\u0000b", "text with JSON escapes"),
        ('q"\\', 'q"\\', None),
        (datetime(2024, 1, 1, 2, 3, 4, 5000, timezone.utc), "2024-01-01T02:03:04.005Z", None),
        (["b", "a"], ["b", "a"], None),
        (["C:\\new", "a\0"], ["C:\\\\new", "a\\u0000"], "text with JSON escapes"),
        ([], [], None),
    ],
)
def test_values(value: Any, stored: Any, how: str | None) -> None:
    config, converted, _, _ = config_of(x=value)
    assert config == {"x": stored}
    assert converted.get("x") == how


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_sent_as_pluto_keeps_it_and_its_digits_beside(value: float) -> None:
    """Else it would be shown as another one, and be different at every comparison."""
    config = config_of(x=value)
    sent = config.values["x"]
    assert float(config.exact.get("x", sent)) == value
    assert isinstance(sent, str) or sent == kept_number(sent) == kept_number(value)
    assert ("x" in config.exact) == (not isinstance(sent, str) and sent != value)


def test_a_key_that_would_hide_all_columns_is_shortened() -> None:
    config = config_of(**{"k" * 501: 1, "k" * 500: 2})
    assert sorted(map(len, config.values)) == [493, 500]
    assert list(config.renamed.values()) == ["k" * 501]


def test_escapes_can_be_read_back() -> None:
    text = 'a\0"b\\u0000\n'
    config, _, _, _ = config_of(x=text)
    assert json.loads(f'"{config["x"]}"') == text


def test_names_that_are_prefixes_of_others() -> None:
    config, _, _, _ = config_of(**{"a": 1, "a/b": 2, "a/b/c": 3})
    assert config == {"a": 1, "a/b": 2, "a/b/c": 3}


def test_keys_that_would_be_lost() -> None:
    """`__proto__` vanishes in JavaScript, an empty key in the UI, and the loader's own is taken."""
    paths = ["__proto__", "", SECTION, "a\0"]
    config, _, renamed, _ = config_of(**dict.fromkeys(paths, 1))
    assert len(config) == len(paths) and not set(paths) & set(config)
    assert {json.loads(f'"{path}"') for path in renamed.values()} == set(paths)


def test_pieces_are_the_whole() -> None:
    config = {f"key {i}": "x" * 100_000 for i in range(35)} | {"é": "ü"}
    parts = [json.loads(piece) for piece in pieces(config)]
    assert len(parts) > 2
    merged = {key: value for part in parts for key, value in part.items()}
    assert merged == config and sum(map(len, parts)) == len(config)
    assert list(pieces({})) == [b"{}"]
