"""The one line about what failed."""

from __future__ import annotations

from neptune_exporter.contract import SinkError
from neptune_exporter.jobs.failing import why_failed
from neptune_exporter.model import RunKey


def test_an_error_that_names_the_run_itself_does_not_name_it_twice() -> None:
    key = RunKey("acme/vision", "RUN-1")
    assert why_failed(key, SinkError(f"{key}: another machine has begun")) == "another machine has begun"
    assert why_failed(key, SinkError("HTTP 500")) == "HTTP 500"
