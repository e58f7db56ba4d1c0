"""What is known of a part's footer goes with the part."""

from __future__ import annotations

import gc
import weakref

from neptune_exporter.dataset import Dataset
from neptune_exporter.dataset.read.facts import facts_of
from neptune_exporter.dataset.read.part_in_memory import PartInMemory
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.model import RunKey
from neptune_exporter.testing import old_layout

KEY = RunKey("acme/vision", "RUN-1")
SMALL = old_layout.Shape(metrics=2, steps=20, parameters=3, lines=5, histograms=1, files=1)


def test_a_footer_is_freed_with_its_part(dataset: Dataset) -> None:
    """Without waiting for Python to look for cycles, or the footers of thousands of parts would pile up.

    `FileMetaData` and its `schema` refer to one another (pyarrow 26.0.1).
    """
    (path,) = old_layout.write_run(dataset.data_path, KEY, old_layout.run_batches(KEY, 0, SMALL))
    place = path.relative_to(dataset.data_path).as_posix()
    gc.collect()
    gc.disable()
    try:
        for kind in (Part, PartInMemory):
            part = kind(dataset.data, place)
            (facts,) = facts_of([part], decode=True)
            assert facts.rows == part.rows
            footer = weakref.ref(part.metadata)
            del part
            assert footer() is None
    finally:
        gc.enable()
