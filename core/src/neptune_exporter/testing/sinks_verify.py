"""What a sink's verification must find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from neptune_exporter.contract.sink import Comparison, LoadedRun, LoadOptions, Sink, Verdict
from neptune_exporter.errors import SinkError
from neptune_exporter.model import RunKind
from neptune_exporter.testing.corpus import THEMES, themed_runs
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleAttribute, SampleFile, SampleHistogram, SampleRun, Value
from neptune_exporter.testing.sink_checks import ReadBack, SinkChecks, SinkFactory, load_runs


class VerificationChecks(SinkChecks):
    """Part of `SinkConformance`."""

    # Verification.

    @pytest.mark.parametrize("full", [False, True])
    def test_verifies_what_it_loaded(self, sink: Sink, full: bool) -> None:
        """`=` for what arrived, `~` for declared losses, `?` for what the target cannot show."""
        if not self.capabilities.verifies:
            pytest.skip("declares that it cannot verify")
        for theme in THEMES:
            runs = [run for run in themed_runs(theme) if run.key.kind is RunKind.RUN]
            loaded = self._load(sink, runs)
            for run in runs:
                _check_verified(run, loaded[run.key], list(sink.verify(MemoryRun(run), full=full)))

    def test_verification_finds_a_changed_value(self, sink: Sink) -> None:
        (run,) = themed_runs("types")
        if not self.capabilities.verifies:
            pytest.skip("declares that it cannot verify")
        loaded = self._load(sink, [run])[run.key]
        if not self.tamper(run.key, loaded):
            pytest.skip("the author gives no tamper")
        verdicts = [c.verdict for c in sink.verify(MemoryRun(run), full=True)]
        assert any(v.is_mismatch for v in verdicts), "the changed value was not found"

    def test_verification_misses_a_run_that_is_not_there(self, sink: Sink) -> None:
        if not self.capabilities.verifies:
            pytest.skip("declares that it cannot verify")
        (run,) = themed_runs("types")
        try:
            verdicts = [c.verdict for c in sink.verify(MemoryRun(run))]
        except SinkError:
            return
        assert Verdict.MISSING in verdicts, "a run that was never loaded was found"

    @pytest.mark.parametrize("what", ["points", "files"])
    def test_what_did_not_arrive_is_not_taken_for_loaded(
        self, sink_factory: SinkFactory, read_back: ReadBack, what: str
    ) -> None:
        """A load lost an attribute on its way, and the comparison finds that: the next load loads the run
        again."""
        if not (self.capabilities.verifies and self.capabilities.resumable):
            pytest.skip("declares that it cannot verify, or that loads cannot be repeated")
        (run,) = themed_runs("types")
        path, _ = _CHANGED[what]
        sink = sink_factory(LoadOptions())
        load_runs(sink, [_Forged(run, path, None)])
        found = [c for c in sink.verify(MemoryRun(run)) if c.verdict.is_mismatch]
        sink.close()
        assert found, f"{path!r} is not there, and the comparison does not say so"
        again = self._load_and_close(sink_factory, [run])
        self._check([run], again, read_back)

    @pytest.mark.parametrize("what", ["parameters", "points", "texts", "histograms", "files"])
    def test_verification_looks_at_everything(self, sink: Sink, what: str) -> None:
        """One value of the run differs from what was loaded: that is found, or said not to be knowable.

        A `?` must name the attribute or what of it cannot be read.
        """
        if not self.capabilities.verifies:
            pytest.skip("declares that it cannot verify")
        (run,) = themed_runs("types")
        self._load(sink, [run])
        path, value = _CHANGED[what]
        forged = _Forged(run, path, value)
        found = list(sink.verify(forged, full=True))
        if any(c.verdict.is_mismatch for c in found):
            return
        words = (path, *_WORDS[what])
        named = any(word in c.item for c in found if c.verdict is Verdict.UNKNOWN for word in words)
        assert named, f"{path!r} differs, but the comparison says {sorted({c.verdict.value for c in found})}"


def _check_verified(run: SampleRun, loaded: LoadedRun, comparisons: list[Comparison]) -> None:
    """Nothing is bad, and what is lost was reported as a loss."""
    bad = [c for c in comparisons if c.verdict.is_mismatch]
    assert not bad, f"{run.key}: {bad[:5]}"
    lost = [c for c in comparisons if c.verdict is Verdict.LOST]
    assert not lost or loaded.losses, f"{run.key}: lost without a loss: {lost[:5]}"
    assert comparisons or not run.rows, f"{run.key}: nothing was compared"
    assert {c.run for c in comparisons} <= {run.key}, f"{run.key}: compares another run"


_CHANGED: Mapping[str, tuple[str, Value]] = {
    "parameters": ("config/optimizer", "sgd"),
    "points": ("train/loss", 0.75),
    "texts": ("logs/stdout", "epoch X"),
    "histograms": ("weights", SampleHistogram((0.0, 1.0, 2.0, 3.0), (1.0, 0.0, 8.0))),
    "files": ("model", SampleFile(b"heights", "model.pt")),
}
"""Attributes of the run of all types, and a value that none of their rows has."""
_WORDS: Mapping[str, tuple[str, ...]] = {
    "parameters": ("parameter",),
    "points": ("point", "metric"),
    "texts": ("text", "string", "log"),
    "histograms": ("histogram",),
    "files": ("file",),
}


class _Forged(MemoryRun):
    """A run with another value in one row, or without that attribute (None), that has the fingerprint of the
    run as it was."""

    def __init__(self, run: SampleRun, path: str, value: Value | None) -> None:
        def change(attribute: SampleAttribute) -> SampleAttribute | None:
            if attribute.path != path:
                return attribute
            if value is None:
                return None
            first, *others = attribute.entries
            return replace(attribute, entries=(replace(first, value=value), *others))

        super().__init__(run.adapted(change))
        self._fingerprint = MemoryRun(run).fingerprint

    @property
    def fingerprint(self) -> str:
        return self._fingerprint
