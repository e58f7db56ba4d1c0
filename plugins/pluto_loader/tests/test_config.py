"""Parameters arrive readable, whatever JSON, JavaScript and PostgreSQL think of them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from neptune_exporter.contract import Parameter
from neptune_exporter.model import AttributeType
from neptune_exporter_pluto.config import SECTION, parameters_config, pieces


def config_of(**values: Any) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    return parameters_config({path: Parameter(path, AttributeType.STRING, v) for path, v in values.items()})


@pytest.mark.parametrize(
    ("value", "stored", "how"),
    [
        (1.5, 1.5, None),
        (True, True, None),
        (2**53, 2**53, None),
        (2**53 + 1, "9007199254740993", "integer as text"),
        (-(2**63), "-9223372036854775808", "integer as text"),
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
    config, converted, _ = config_of(x=value)
    assert config == {"x": stored}
    assert converted.get("x") == how


def test_escapes_can_be_read_back() -> None:
    text = 'a\0"b\\u0000\n'
    config, _, _ = config_of(x=text)
    assert json.loads(f'"{config["x"]}"') == text


def test_names_that_are_prefixes_of_others() -> None:
    config, _, _ = config_of(**{"a": 1, "a/b": 2, "a/b/c": 3})
    assert config == {"a": 1, "a/b": 2, "a/b/c": 3}


def test_keys_that_would_be_lost() -> None:
    """`__proto__` vanishes in JavaScript, an empty key in the UI, and the loader's own is taken."""
    paths = ["__proto__", "", SECTION, "a\0"]
    config, _, renamed = config_of(**dict.fromkeys(paths, 1))
    assert len(config) == len(paths) and not set(paths) & set(config)
    assert {json.loads(f'"{path}"') for path in renamed.values()} == set(paths)


def test_pieces_are_the_whole() -> None:
    config = {f"key {i}": "x" * 100_000 for i in range(35)} | {"é": "ü"}
    parts = [json.loads(piece) for piece in pieces(config)]
    assert len(parts) > 2
    merged = {key: value for part in parts for key, value in part.items()}
    assert merged == config and sum(map(len, parts)) == len(config)
    assert list(pieces({})) == [b"{}"]
