"""Names of files."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from neptune_exporter.dataset.format.file_names import file_name

texts = st.one_of(
    st.text(max_size=60),
    st.text(alphabet='aAbB./\\_- :*?"<>|é\u0301İıﬁßКк가', max_size=12),
    st.sampled_from(
        ["..", "../x", "/etc/passwd", "C:\\x", "CON", "nul.txt", "aux", "a.", "a ", "~", "\ud800"]
    ),
)
steps = st.one_of(
    st.none(), st.floats(), st.integers(-(10**13), 10**13).map(float), st.decimals(places=6, allow_nan=False)
)
places = st.tuples(texts, texts, steps, st.integers(0, 3))

RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)", re.IGNORECASE)


@given(places)
def test_every_system_takes_the_name(place: tuple[str, str, Decimal | float | None, int]) -> None:
    name = file_name(*place)
    for component in PurePosixPath(name).parts:
        assert len(component.encode()) <= 255
        assert len(component) <= 255
        assert not re.search(r'[\x00-\x1f<>:"/\\|?*\x7f]', component)
        assert component.strip(". ") == component
        assert not RESERVED.fullmatch(component.partition(".")[0])
        assert unicodedata.normalize("NFC", component) == component
        assert unicodedata.normalize("NFD", component) == component
    assert name == str(PurePosixPath(name))
    assert len(PurePosixPath(name).parts) <= 2


@given(places, places)
def test_no_two_places_meet(
    one: tuple[str, str, Decimal | float | None, int], other: tuple[str, str, Decimal | float | None, int]
) -> None:
    def identity(place: tuple[str, str, Decimal | float | None, int]) -> tuple[str, str | None, int]:
        step = place[2]
        number = None if step is None else Decimal(repr(step)) if isinstance(step, float) else step
        text = None if number is None else str(number.normalize() if number.is_finite() else number)
        return place[0], "0" if number == 0 else text, place[3]

    names = [file_name(*place) for place in (one, other)]
    if identity(one) != identity(other):
        parents = {p.casefold() for n in names for p in PurePosixPath(n).parts[:-1]}
        assert names[0].casefold() != names[1].casefold()
        assert not {n.casefold() for n in names} & parents
    elif one[1] == other[1]:
        assert names[0] == names[1]


def test_a_person_recognises_them() -> None:
    assert re.fullmatch(r"artifacts_model-[0-9a-f]{16}\.bin", file_name("artifacts/model.bin", "", None, 0))
    assert re.fullmatch(r"model_best-[0-9a-f]{16}\.tar\.gz", file_name("model/best", ".tar.gz", None, 0))
    assert re.fullmatch(
        r"weights__final_epoch-[0-9a-f]{16}\.pt", file_name("weights", "out/final epoch.pt", None, 0)
    )
    assert re.fullmatch(
        r"images_val-[0-9a-f]{16}/step_0_2-[0-9a-f]{16}\.png", file_name("images/val", ".png", 0.2, 0)
    )
    assert file_name("é", "", None, 0).startswith("e-")
    assert file_name("图像", "", None, 0).startswith("图像-")


def test_equal_steps_are_one_place_whatever_their_type() -> None:
    assert len({file_name("a", ".png", step, 0) for step in (1, 1.0, Decimal("1.000000"))}) == 1
    assert file_name("a", ".png", -0.0, 0) == file_name("a", ".png", 0.0, 0)
