"""Names of folders, parts and receipts."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neptune_exporter.dataset.format.layout import Place, parse_part, proven_id, sanitised, stem
from neptune_exporter.model import RunKey, RunKind


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("org/project", "org_project-ea8dfac2f8d8c39c"),
        ("my-project_123", "my-project_123-b1846f7fea709615"),
        ("RUN-1", "RUN-1-549fcb30a0f06072"),
        ("a b", "a_b-bb37dea5c027f928"),
        ("é/ü", "é_ü-3ff1dff442ae5b64"),
        ("", "-e4a6a0577479b2b4"),
    ],
)
def test_the_public_tools_names(name: str, expected: str) -> None:
    assert sanitised(name) == stem(name) == expected


def test_a_long_id_is_shortened_and_stays_unique() -> None:
    one, other = "é" * 300 + "1", "é" * 300 + "2"
    assert stem(one) != stem(other)
    assert all(len(f"{stem(s)}_part_12345.parquet.tmp".encode()) <= 255 for s in (one, other))


def test_an_id_with_part_in_it_is_visible_to_readers_that_split_there() -> None:
    name = stem("x_part_0_part_0")
    assert "_part_" not in name
    assert stem("x_part_0_part_0") != stem("x_part-0_part-0")


@given(st.text(max_size=300), st.integers(0, 10**6))
def test_parts_of_any_run_are_recognised(run_id: str, number: int) -> None:
    for place in Place.candidates(RunKey("a/b", run_id)):
        part = parse_part(place.part_name(number))
        assert part is not None
        assert (part.stem, part.number, part.unfinished) == (place.stem, number, False)
        assert "/" not in place.stem and place.stem not in (".", "..")


@given(st.text(max_size=40), st.text(max_size=40))
def test_different_runs_never_share_a_place(one: str, other: str) -> None:
    if one != other:
        names = {unicodedata.normalize("NFC", stem(s)).casefold() for s in (one, other)}
        assert len(names) == 2


def test_kinds_have_folders_of_their_own() -> None:
    places = {kind: Place.of(RunKey("org/project", "RUN-1", kind)) for kind in RunKind}
    assert places[RunKind.RUN].folder == "org_project-ea8dfac2f8d8c39c"
    assert places[RunKind.MODEL].folder == "org_project-ea8dfac2f8d8c39c/models"
    assert places[RunKind.MODEL_VERSION].folder == "org_project-ea8dfac2f8d8c39c/model_versions"
    for kind, place in places.items():
        assert place.kind is kind
        assert place.project_folder == "org_project-ea8dfac2f8d8c39c"


def test_what_is_not_a_part() -> None:
    for name in (
        "x.parquet",
        "x_part_.parquet",
        "x_part_1.parquet.damaged",
        "x.receipt.parquet",
        "_part_1.csv",
    ):
        assert parse_part(name) is None


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("acme/vision", "acme/vision"),
        ("my_team/a_b", "my_team/a_b"),
        ("RUN-1", "RUN-1"),
        ("my.team/vision", sanitised("my.team/vision")),
        ("a b", sanitised("a b")),
    ],
)
def test_an_id_is_taken_from_a_name_only_if_its_digest_proves_it(name: str, known: str) -> None:
    assert proven_id(sanitised(name)) == known
    assert proven_id("acme_vision") == "acme_vision", "as the earlier tool named folders at first"
    assert proven_id("acme_vision-0123456789abcdef") == "acme_vision-0123456789abcdef"
