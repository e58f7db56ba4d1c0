"""Names that MLflow's own validation takes, and no two of which are one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.uri import validate_path_is_safe
from mlflow.utils.validation import _validate_metric_name, _validate_param_name

from neptune_exporter.sinks.names import NameBook, NameRule
from neptune_exporter.testing.corpus import NAMES
from neptune_exporter_mlflow.names import FILES, KEYS, LONGEST_NAME, fitting

ODD = (
    *NAMES,
    "a//b",
    "/",
    "..",
    ".",
    "a/",
    "a/../b",
    "a\\b",
    "A",
    "a",
    "#",
    "x#1",
    "x?1",
    "x%1",
    "a%20b",
)


def names(rule: NameRule, paths: tuple[str, ...]) -> list[str]:
    book = NameBook(rule)
    return [book.name(path, "kind") for path in paths]


def check_key(name: str) -> None:
    _validate_metric_name(name)
    _validate_param_name(name)
    assert len(name) <= 250


def check_file(name: str) -> None:
    assert validate_path_is_safe(name) == name
    assert not set("#?%\\") & set(name) and len(name.encode()) <= 240
    assert all(part.strip(" .") and part == part.strip(" ") for part in name.split("/"))


def check_apart(found: list[str]) -> None:
    folded = [name.casefold() for name in found]
    assert len(set(folded)) == len(found)


def test_the_names_of_the_corpus() -> None:
    for rule, check in ((KEYS, check_key), (FILES, check_file)):
        found = names(rule, ODD)
        check_apart(found)
        for name in found:
            check(name)


@given(st.lists(st.text(max_size=30), unique=True, max_size=8))
def test_any_names(paths: list[str]) -> None:
    for rule, check in ((KEYS, check_key), (FILES, check_file)):
        found = names(rule, tuple(paths))
        check_apart(found)
        for name in found:
            check(name)


@pytest.mark.parametrize("name", ["train/loss", "a b", "é/日本", "x:y", "a-b_c.d"])
def test_a_name_that_mlflow_takes_stays(name: str) -> None:
    assert names(KEYS, (name,)) == [name]


def test_a_changed_file_name_keeps_its_extension() -> None:
    (name,) = names(FILES, ("plots/q?1.png",))
    assert name.startswith("plots/q_1-") and name.endswith(".png")


@pytest.mark.parametrize("order", list(itertools.permutations(["a", "a/b", "a/b/c"])))
def test_no_file_is_the_folder_of_another(order: tuple[str, ...]) -> None:
    found = names(FILES, order)
    assert not any(one.startswith(other + "/") for one in found for other in found)


def test_a_long_name_of_a_run_stays_itself() -> None:
    one, other = fitting("é" * 300 + "1"), fitting("é" * 300 + "2")
    assert one != other and len(one.encode()) <= LONGEST_NAME
    assert fitting("n" * LONGEST_NAME) == "n" * LONGEST_NAME
