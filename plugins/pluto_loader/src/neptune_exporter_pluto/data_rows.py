"""String series and histograms of one run, which Pluto never deduplicates, in the order of their rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from neptune_exporter.model import AttributeType
from neptune_exporter.sinks.names import NameBook
from neptune_exporter.sinks.series import SeriesRows
from neptune_exporter_pluto import histogram_rows, strings
from neptune_exporter_pluto.histogram_rows import HistogramStream
from neptune_exporter_pluto.strings import StringStreams

ROW_TYPES = (AttributeType.STRING_SERIES, AttributeType.HISTOGRAM_SERIES)
ROW_COLUMNS = ("string_value", "histogram_value")


def take_rows(
    batches: Iterable[SeriesRows],
    names: NameBook,
    texts: StringStreams,
    histograms: HistogramStream,
) -> None:
    """Hand all rows on to their streams, and names too in the order of the rows, however they are cut.

    A load that goes on passes over as many lines as Pluto has: their order must not hang on the batches.
    """
    for batch in batches:
        is_string = np.asarray(batch.batch.column("string_value").is_valid())
        _reserve_names(batch, is_string, names)
        changes = np.flatnonzero(is_string[1:] != is_string[:-1]) + 1
        for start, stop in itertools.pairwise([0, *changes.tolist(), len(is_string)]):
            stretch = batch.slice(start, stop)
            if is_string[start]:
                texts.take(stretch)
            else:
                histograms.take(stretch)


def _reserve_names(batch: SeriesRows, is_string: npt.NDArray[np.bool_], names: NameBook) -> None:
    _, first = np.unique(batch.series * 2 + is_string, return_index=True)
    for row in np.sort(first):
        kind = strings if is_string[row] else histogram_rows
        kind.reserve(names, batch.paths[batch.series[row]])
