"""How differences between a dataset and a target are shown."""

from __future__ import annotations

from neptune_exporter.cli.verify import comparison_lines
from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter.model import RunKey


def test_a_side_that_has_nothing_is_said_to_have_nothing() -> None:
    run = RunKey("acme/vision", "RUN-1")
    missing = Comparison(run, "files of model", Verdict.MISSING, "11 bytes")
    (line,) = comparison_lines([missing], show_all=False)
    assert line == "- acme/vision:RUN-1 files of model: expected 11 bytes, found nothing"


def test_what_cannot_be_read_back_is_said_with_its_reason() -> None:
    run = RunKey("acme/vision", "RUN-1")
    unknown = Comparison(run, "histograms", Verdict.UNKNOWN, "5", "the target gives no way to read them")
    (line,) = comparison_lines([unknown], show_all=False)
    assert line == "? acme/vision:RUN-1 histograms: expected 5; the target gives no way to read them"
