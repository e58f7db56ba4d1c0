"""A run is in the target once, and as a whole, however its load was broken off."""

from __future__ import annotations

import gc
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest

from neptune_exporter.contract.sink import LoadedRun, LoadOptions
from neptune_exporter.errors import DatasetError, SinkError
from neptune_exporter.testing.breaking import Place, Watch, broken_at, chosen, own_code, places_of
from neptune_exporter.testing.corpus import themed_runs
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.long_run import LongRun
from neptune_exporter.testing.runs import SampleRun, float_series
from neptune_exporter.testing.sink_checks import ReadBack, SinkChecks, SinkFactory, load_runs

_PATIENCE = 2.0
"""Seconds for which a second load may wait for the first one, before that goes on."""


class OnceChecks(SinkChecks):
    """Part of `SinkConformance`."""

    # Once, and as a whole.

    @pytest.mark.parametrize("theme", ["types", "steps-duplicate", "forks"])
    def test_loading_again_changes_nothing(
        self, sink_factory: SinkFactory, read_back: ReadBack, theme: str
    ) -> None:
        if not self.capabilities.resumable:
            pytest.skip("declares that loads cannot be repeated")
        runs = themed_runs(theme)
        first = self._load_and_close(sink_factory, runs)
        second = self._load_and_close(sink_factory, runs)
        assert {k: v.target_id for k, v in first.items()} == {k: v.target_id for k, v in second.items()}
        # A sink that skips a loaded run need not find its losses again.
        again = {k: replace(v, losses=first[k].losses) if v.already_loaded else v for k, v in second.items()}
        self._check(runs, again, read_back)

    @pytest.mark.parametrize("broken_after", [0, 1, 7, 20])
    def test_completes_what_was_interrupted(
        self, sink_factory: SinkFactory, read_back: ReadBack, broken_after: int
    ) -> None:
        """A load that fails somewhere in the middle is said to have failed, and can be done again."""
        if not self.capabilities.resumable:
            pytest.skip("declares that loads cannot be repeated")
        (run,) = themed_runs("types")
        points = float_series("long", enumerate(map(float, range(40))))
        run = run.plus(points)
        sink = sink_factory(LoadOptions())
        with pytest.raises((DatasetError, SinkError)):
            load_runs(sink, [MemoryRun(run, break_after=broken_after)])
        sink.close()
        self._check([run], self._load_and_close(sink_factory, [run]), read_back)

    def test_a_run_that_grew_is_not_taken_for_loaded(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """It gets the new rows, or the sink says that it cannot add them: never silence."""
        (run,) = themed_runs("types")
        self._load_and_close(sink_factory, [run])
        grown = run.plus(float_series("later", [(0, 1.0), (1, 2.0)]))
        try:
            loaded = self._load_and_close(sink_factory, [grown])
        except SinkError:
            return
        self._check([grown], loaded, read_back)

    # However it is broken, and whatever else loads.

    def test_completes_what_was_broken_at_any_line(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """A break at the first and last time that a load passes a line; then it is loaded again, twice."""
        if not self.capabilities.resumable:
            pytest.skip("declares that loads cannot be repeated")
        (sample,) = themed_runs("types")
        code, places = self._places(sink_factory, sample)
        for number, place in enumerate(chosen(places, _number(self.broken_lines))):
            run = replace(sample, key=replace(sample.key, run_id=f"broken-{number}"))
            sink = sink_factory(LoadOptions())
            broken_at(code, place, partial(load_runs, sink, [MemoryRun(run)]))
            sink.close()
            with self._after(f"a load that was broken at {place}"):
                again = self._load_and_close(sink_factory, [run])
                self._check([run], again, read_back)
                self._check_alone(run, again[run.key])
                once_more = self._load_and_close(sink_factory, [run])[run.key]
                assert once_more.target_id == again[run.key].target_id, "it was loaded again"

    def test_two_loads_at_once_load_a_run_once(self, sink_factory: SinkFactory, read_back: ReadBack) -> None:
        """One load is stopped at a line, another one of the same run goes on in between.

        Either may be refused with a `SinkError`. Then there is one run, and both mean that one.
        """
        if not self.capabilities.resumable:
            pytest.skip("declares that loads cannot be repeated")
        (sample,) = themed_runs("types")
        code, places = self._places(sink_factory, sample)
        firsts = [place for place in places if place.time == 1]
        most = _number(self.crossed_lines)
        step = 1 if most is None else max(1, len(firsts) // most)
        for number, place in enumerate(firsts[step - 1 :: step]):
            run = replace(sample, key=replace(sample.key, run_id=f"crossed-{number}"))
            with self._after(f"two loads, one of which came to {place} first"):
                ids = _crossed(sink_factory, code, place, run)
                final = self._load_and_close(sink_factory, [run])
                self._check([run], final, read_back)
                self._check_alone(run, final[run.key])
                assert ids <= {final[run.key].target_id}, f"it is there as {ids | {final[run.key].target_id}}"

    def test_a_fork_follows_a_parent_that_is_loaded_again(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """Its parent has grown: wherever that is now, the fork points there, though it did not change."""
        root, child = themed_runs("forks")[:2]
        self._load_and_close(sink_factory, [root, child])
        grown = root.plus(float_series("later", [(0, 1.0), (1, 2.0)]))
        try:
            loaded = self._load_and_close(sink_factory, [grown, child])
        except SinkError:
            return
        self._check([grown, child], loaded, read_back)

    def test_memory_does_not_grow_with_the_run(self, sink_factory: SinkFactory) -> None:
        """A run of four times the length takes less than 150 bytes more for each further row."""
        if self.target_in_memory:
            pytest.skip("the target is in the memory of this process")
        shorter, longer = 5_000, 20_000
        for kind in ("points", "texts"):
            peaks: list[int] = []
            for rows in (shorter, shorter, longer):  # the first one imports what is used
                sink = sink_factory(LoadOptions())
                peaks.append(_peak(partial(load_runs, sink, [LongRun(kind, rows, f"{len(peaks)} {kind}")])))
                sink.close()
            growth = (peaks[2] - peaks[1]) / (longer - shorter)
            assert growth < 150, f"{growth:.0f} bytes of memory for each row of {kind}"

    # Helpers.

    def _places(self, sink_factory: SinkFactory, sample: SampleRun) -> tuple[Sequence[str], list[Place]]:
        run = replace(sample, key=replace(sample.key, run_id="not-broken"))
        sink = sink_factory(LoadOptions())
        code = own_code(sink)
        places = places_of(code, partial(load_runs, sink, [MemoryRun(run)]))
        sink.close()
        assert places, "no line of the sink was seen"
        return code, places

    @contextmanager
    def _after(self, what: str) -> Iterator[None]:
        try:
            yield
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - any error is reported with the break before it
            pytest.fail(f"after {what}: {error or type(error).__name__}", pytrace=False)

    def _check_alone(self, run: SampleRun, loaded: LoadedRun) -> None:
        held = self.held_ids(run.key)
        assert held is None or set(held) == {loaded.target_id}, f"the target shows {held}"


def _number(most: int | None) -> int | None:
    return None if os.environ.get("NEPTUNE_EXPORTER_KIT") == "all" else most


def _crossed(sink_factory: SinkFactory, code: Sequence[str], place: Place, run: SampleRun) -> set[str]:
    """The ids that two loads give, of which the second is made while the first stands at a place."""
    ids: set[str] = set()

    def load() -> None:
        sink = sink_factory(LoadOptions())
        try:
            ids.add(load_runs(sink, [MemoryRun(run)])[run.key].target_id)
        except SinkError:
            pass  # refused, as it may be
        finally:
            sink.close()

    second = threading.Thread(target=load)

    def at(passed: Place) -> None:
        if passed == place and second.ident is None:
            second.start()
            second.join(_PATIENCE)  # it may have to wait for the first

    Watch(code, at, threads=False).run(load)
    if second.ident is not None:
        second.join(60)
        assert not second.is_alive(), "the second load does not end"
    return ids


def _peak(call: Callable[[], object]) -> int:
    """Bytes of Python and numpy that a call holds at most, more than before."""
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
