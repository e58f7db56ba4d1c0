"""Which attributes are asked for, those of types that nobody knows among them."""

from __future__ import annotations

import json

import pytest

from neptune_exporter.cli import selection
from neptune_exporter.contract import AttributeRequest, AttributeSelection, SourceCapabilities
from neptune_exporter.dataset.format import receipts
from neptune_exporter.model import ALL_CLASSES, AttributeClass, AttributeType

NO_FILES = ALL_CLASSES - {AttributeClass.FILES}


@pytest.mark.parametrize(
    ("given", "classes", "exclude", "told"),
    [
        ([], [], [], True),
        ([], [], ["files"], True),
        ([], ["parameters"], [], False),
        ([], ["parameters,metrics"], ["metrics"], False),
        ([], ["parameters,metrics", "series,files"], [], True),
        (["^git"], [], ["files"], True),
        (["^lr"], [], [], False),
        (["git", "lr"], [], [], True),
        (["gi", "lr"], [], [], False),
        (["git"], ["parameters"], [], False),
    ],
)
def test_what_is_of_no_class_is_asked_for_unless_classes_are_named(
    given: list[str], classes: list[str], exclude: list[str], told: bool
) -> None:
    wanted = selection.attributes(
        given, classes, exclude, metric_previews=False, capabilities=SourceCapabilities()
    )
    assert wanted.includes("git", None) is told
    assert receipts._selection(json.loads(json.dumps(vars(wanted), default=receipts._encoded))) == wanted


def test_what_is_of_no_class_is_covered_by_what_told_of_it() -> None:
    named = AttributeSelection(classes=ALL_CLASSES, others=False)
    request = AttributeRequest(AttributeSelection(), (named,))
    assert not request.classes and request.others and request.includes("git", None)
    assert not request.includes("lr", AttributeType.FLOAT)
    request = AttributeRequest(AttributeSelection(), (named, AttributeSelection(classes=NO_FILES)))
    assert not request.others and not request.includes("git", None)
    assert AttributeRequest(AttributeSelection(), request.covered, frozenset({"git"})).includes("git", None)
