"""Names of files: none is a folder of another, and a changed one keeps its extension."""

from __future__ import annotations

import itertools

import pytest

from neptune_exporter.sinks.names import NameBook, NameRule, only

FILES = NameRule(40, "bytes", only("a-z0-9/.~"), paths=True)


def names(*paths: str) -> list[str]:
    book = NameBook(FILES)
    return [book.name(path, "file") for path in paths]


@pytest.mark.parametrize("order", list(itertools.permutations(["a", "a/b", "a/b/c", "a_b"])))
def test_no_file_is_a_folder(order: tuple[str, ...]) -> None:
    found = names(*order)
    assert len(set(found)) == 4 and found[0] == (order[0] if FILES.takes(order[0]) else found[0])
    assert not any(one.startswith(other + "/") for one in found for other in found)
    assert all(FILES.clean(name) == name for name in found[1:] if "_" not in name)


def test_an_extension_stays_behind_the_mark() -> None:
    (name,) = names("plots/Q1.png")
    assert name.startswith("plots/_1~") and name.endswith(".png")


def test_a_long_name_keeps_its_extension() -> None:
    one, other = names("n" * 60 + "1.png", "n" * 60 + "2.png")
    assert one != other and {len(one), len(other)} == {40} and one.endswith(".png")
