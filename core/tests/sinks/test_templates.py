"""Templates of names: what cannot be filled for every run is refused before a load."""

from __future__ import annotations

import pytest

from neptune_exporter.contract import UsageError
from neptune_exporter.sinks.templates import check_template


@pytest.mark.parametrize("template", ["", "all", "{workspace}-{project}", "{{{experiment}}}"])
def test_text_and_fields_are_a_template(template: str) -> None:
    check_template("--acme-project", template)


@pytest.mark.parametrize(
    "template",
    [
        *("{team}", "{}", "{0}", "{", "}", "{project[a]}", "{project[0]}", "{project.upper}"),
        *("{project!r}", "{project:>9}", "{project:{workspace}}"),
    ],
)
def test_anything_else_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match=r"--acme-project .* consists of text and \{workspace\}"):
        check_template("--acme-project", template)
