"""No two names become one, and all of them are names that Pluto takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from neptune_exporter.sinks.names import NameBook, NameRule, digest, file_name
from neptune_exporter_pluto.form.limits import NAME, STORAGE_NAME
from neptune_exporter_pluto.state.session import usable_project_name


@given(st.lists(st.text(max_size=40), unique=True), st.sampled_from([NAME, STORAGE_NAME]))
def test_names_stay_apart(paths: list[str], rule: NameRule) -> None:
    book = NameBook(NAME)
    names = [book.name(path, "METRIC", rule=rule) for path in paths]
    assert len(set(names)) == len(paths)
    assert names == [book.name(path, "METRIC", rule=rule) for path in paths]
    for name in names:
        assert name.strip() and "\0" not in name and len(name.encode()) <= 2_000
        if rule is STORAGE_NAME:
            assert not {"", ".", ".."} & set(name.split("/"))


def test_a_usable_name_stays() -> None:
    book = NameBook(NAME)
    for name in ("train/loss", "é/日本語", "a b:c?d&e", "x" * 2_000):
        assert book.name(name, "METRIC") == name
    assert not dict(book.changed())


def test_names_that_the_sdk_would_merge_stay_apart() -> None:
    """It replaces every character beyond ASCII by a hyphen, and cuts at 250 in the public tool."""
    book = NameBook(NAME)
    paths = ["é", "ü", "-", "n" * 251 + "1", "n" * 251 + "2", "l" * 2_500 + "1", "l" * 2_500 + "2"]
    assert len({book.name(path, "METRIC") for path in paths}) == len(paths)
    assert dict(book.changed()).keys() == {book.name(path, "METRIC") for path in paths[-2:]}


def test_one_path_of_two_types_gets_two_names() -> None:
    """The first type under which Pluto meets a name wins."""
    book = NameBook(NAME)
    assert book.name("logs/stdout", "DATA") == "logs/stdout"
    assert book.name("logs/stdout", "TEXT") != "logs/stdout"
    assert set(book.by_type()) == {"DATA", "TEXT"}


def test_a_name_that_looks_like_a_changed_one() -> None:
    book = NameBook(NAME)
    changed = book.name("a\0b", "METRIC")
    other = NameBook(NAME)
    assert other.name(changed, "METRIC") == changed
    assert other.name("a\0b", "METRIC") != changed


def test_digests_know_where_parts_end() -> None:
    assert digest("a", "bc") != digest("ab", "c")


def test_file_names_are_one_part_of_a_key() -> None:
    assert file_name("model.pt", "x") == "model.pt"
    for odd in ("a/b.png", "..", "", "a\\b", "n" * 300 + ".png", "tab\t.txt"):
        name = file_name(odd, "path", odd)
        assert name and "/" not in name and "\\" not in name and name.strip(".") and len(name.encode()) <= 180
    assert file_name("n" * 300 + ".png", "a").endswith(".png")
    assert file_name("n" * 300 + ".png", "a") != file_name("n" * 300 + ".png", "b")


def test_project_names_travel_in_a_header() -> None:
    assert usable_project_name("acme/vision") == "acme/vision"
    odd = [usable_project_name(name) for name in ("acme/vísion", "acme/vìsion", "x" * 300, " a", "a\nb")]
    assert all(
        name.isascii() and name.isprintable() and name == name.strip() and len(name) <= 255 for name in odd
    )
    assert len(set(odd)) == len(odd)
