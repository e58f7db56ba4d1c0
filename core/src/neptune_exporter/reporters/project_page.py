"""What a page to keep shows of a project's runs: their curves, parameters and small pictures."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape as _escape

from neptune_exporter.contract import ExportedRun, NeptuneExporterError, ParameterValue
from neptune_exporter.model import FILE_TYPES, RunKey
from neptune_exporter.redaction import printable
from neptune_exporter.reporters.curves import HEIGHT, WIDTH, Drawn, Thinned, extent, paths, series_of
from neptune_exporter.toolkit.filekinds import kind_of

_POINTS = 240_000
"""Points of all curves of the page together: about five bytes each."""
_COLOURS = 24
"""Runs have this many colours; further runs begin again with the first one."""
_LONGEST = 200
"""Characters of a parameter that are shown."""
_PARAMETERS = 3_000
"""How many parameters the table of a project shows; the others are only counted."""
LARGEST = 20_000
"""Bytes of a picture that is shown; of a larger one only the name would be of use, and `files` has that."""
_PICTURES = {"png": "png", "jpg": "jpeg", "gif": "gif"}
"""MIME types of pictures that every browser shows, by extension."""


@dataclass
class PageBudget:
    """What the curves and pictures of a page may still take."""

    buckets: int
    picture_bytes: int = 500_000

    @classmethod
    def for_series(cls, number: int) -> PageBudget:
        """Divided among so many curves; few have as many points as there are pixels."""
        return cls(max(8, min(WIDTH, _POINTS // 2 // max(1, number))))


def colour_rules() -> str:
    """CSS for the colours of runs: neighbours lie far apart."""
    hues = ((210 + i * 137.508) % 360 for i in range(_COLOURS))
    return "\n".join(f".c{i} {{ stroke: hsl({hue:.0f} 65% 48%); }}" for i, hue in enumerate(hues))


def curves_and_parameters(
    keys: Sequence[RunKey], open_run: Callable[[RunKey], ExportedRun], budget: PageBudget
) -> Iterator[str]:
    """A chart for each metric with the curves of all runs, a table of parameters, and small pictures."""
    charts: dict[str, list[tuple[int, Thinned]]] = {}
    parameters: dict[RunKey, dict[str, ParameterValue]] = {}
    images: list[str] = []
    problems: list[str] = []
    for number, key in enumerate(keys):
        try:
            run = open_run(key)
            parameters[key] = {path: each.value for path, each in run.parameters().items()}
            for path, series in series_of(run, budget.buckets).items():
                charts.setdefault(path, []).append((number, series))
            for attribute, address, size in pictures(run, budget.picture_bytes):
                budget.picture_bytes -= size
                caption = f"{escape(key.run_id)} {escape(attribute)}"
                images.append(
                    f'<figure><img src="{address}" alt=""><figcaption>{caption}</figcaption></figure>'
                )
        except NeptuneExporterError as error:  # a damaged run costs itself
            problems.append(str(error))
    if problems:
        items = "".join(f"<li>{escape(text)}</li>" for text in problems)
        yield f'<section class="problems"><p>Cannot be drawn:</p><ul>{items}</ul></section>'
    if charts:
        yield from _charts(keys, charts)
    if images:
        yield f'<h3>Pictures</h3><div class="grid">{"".join(images)}</div>'
    yield from _parameters(keys, parameters)


def _charts(keys: Sequence[RunKey], charts: dict[str, list[tuple[int, Thinned]]]) -> Iterator[str]:
    yield "<h3>Metrics</h3>"
    drawn = sorted({number for members in charts.values() for number, _ in members})
    swatch = '<svg width="18" height="8"><path class="c{}" d="M1 4h16"/></svg> {}'
    yield "<p>" + ", ".join(swatch.format(n % _COLOURS, escape(keys[n].run_id)) for n in drawn) + "</p>"
    yield '<div class="grid">'
    for path in sorted(charts):
        yield _chart(path, charts[path])
    yield "</div>"


def _chart(path: str, members: list[tuple[int, Thinned]]) -> str:
    curves = [Drawn(number % _COLOURS, *series.curve()) for number, series in members]
    xs, ys = extent(each.x for each in curves), extent(each.y for each in curves)
    points, odd = sum(series.points for _, series in members), sum(series.odd for _, series in members)
    last = f", last {members[0][1].last:.6g}" if len(members) == 1 else ""
    not_finite = f", {odd:,} NaN or infinite" if odd else ""
    caption = f"{points:,} points{last}{not_finite}"
    svg = "".join(paths(curves, xs, ys))
    return (
        f"<figure><figcaption><b>{escape(path)}</b></figcaption>"
        f"<small><span>{ys[0]:.6g} to {ys[1]:.6g}</span><span>{caption}</span></small>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none">{svg}</svg>'
        f"<small><span>step {xs[0]:.15g}</span><span>{xs[1]:.15g}</span></small></figure>"
    )


def _parameters(keys: Sequence[RunKey], values: dict[RunKey, dict[str, ParameterValue]]) -> Iterator[str]:
    """A row for each parameter, a column for each run."""
    names = sorted({path for each in values.values() for path in each})
    if not names:
        return
    yield '<h3>Parameters</h3><div class="wide"><table>'
    there = [key for key in keys if key in values]
    yield "<tr><th></th>" + "".join(f"<th>{escape(key.run_id)}</th>" for key in there) + "</tr>"
    for name in names[:_PARAMETERS]:
        cells = "".join(f"<td>{escape(_shown(values[key].get(name)))}</td>" for key in there)
        yield f"<tr><th>{escape(name)}</th>{cells}</tr>"
    yield "</table></div>"
    if len(names) > _PARAMETERS:
        yield f"<p>{len(names) - _PARAMETERS:,} more parameters are not shown.</p>"


def _shown(value: ParameterValue | None) -> str:
    if value is None:
        return ""
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def pictures(run: ExportedRun, room: int) -> Iterator[tuple[str, str, int]]:
    """The last small picture of each attribute: its path, its `data:` address, and its bytes in the page. All
    of them together take at most `room` bytes."""
    last: dict[str, str] = {}
    for batch in run.batches(FILE_TYPES, columns=["attribute_path", "file_value"]):
        for row in batch.to_pylist():
            if row["file_value"] and row["file_value"]["path"]:
                last[row["attribute_path"]] = row["file_value"]["path"]
    for attribute, path in last.items():
        data = _small(run, path)
        kind = _PICTURES.get(kind_of("", data).extension)
        if kind is not None:
            address = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
            if (room := room - len(address)) < 0:
                return
            yield attribute, address, len(address)


def _small(run: ExportedRun, path: str) -> bytes:
    """The bytes of a file; empty if it is large, not there or not to be read: `verify` tells that."""
    try:
        with run.open_file(path) as file:
            data = file.read(LARGEST + 1)
    except (NeptuneExporterError, OSError):
        return b""
    return data if len(data) <= LARGEST else b""


def escape(text: str) -> str:
    """Data as the page shows it: nothing that is no text, and no markup."""
    return _escape(printable(text))
