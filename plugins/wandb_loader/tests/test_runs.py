"""What a run looks like in W&B, beyond what the kit asks of every loader."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from neptune_exporter.contract import LoadOptions, SinkError, Verdict
from neptune_exporter.model import RunKey
from neptune_exporter.testing import MemoryRun, SampleHistogram, SampleRun
from neptune_exporter.testing.runs import (
    FIRST_TIME,
    SampleFile,
    file,
    file_series,
    float_series,
    histogram_series,
    parameter,
    string_series,
)
from neptune_exporter.testing.sink_checks import load_runs
from neptune_exporter_wandb.loader import connected
from neptune_exporter_wandb.record_output import RecordOutput
from neptune_exporter_wandb.settings import WandbSettings

from .reading import by_kind, folder_of, rows_of

START = FIRST_TIME - timedelta(seconds=60.211)
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (3).to_bytes(4, "big") + (2).to_bytes(4, "big") + bytes(9)
Load = Callable[..., dict[str, Any]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a run of these attributes and gives what its records hold, by their kind."""

    def load(*attributes: Any, **settings: Any) -> dict[str, Any]:
        created = parameter("sys/creation_time", START)
        run = SampleRun(RunKey("acme/vision", "RUN-1"), (created, *attributes))
        sink = connected(WandbSettings("offline", tmp_path, **settings), LoadOptions())
        loaded = load_runs(sink, [MemoryRun(run)])[run.key]
        verdicts = {c.verdict for c in sink.verify(MemoryRun(run), full=True)}
        assert verdicts <= {Verdict.EQUAL, Verdict.LOST}
        folder = folder_of(tmp_path / "wandb", loaded.target_id)
        return {**by_kind(folder), "folder": folder}

    return load


def _rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    return list(rows_of(found["history"]))


def test_rows_have_the_times_and_steps_of_neptune(load: Load) -> None:
    """One row for all series of a step and time; fractional, falling and repeated steps keep theirs."""
    rows = _rows(
        load(
            float_series("a", [(Decimal("0.5"), 1.0), (1, 2.0), (1, 3.0)]),
            float_series("b", [(Decimal("0.5"), 5.0), (-2, 6.0)]),
        )
    )
    shown = [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]
    assert [Decimal(row["neptune_step"]) for row in shown] == sorted(
        Decimal(r["neptune_step"]) for r in shown
    )
    assert {"neptune_step": Decimal("0.5"), "a": Decimal("1.0"), "b": Decimal("5.0")} in shown
    assert [float(row["a"]) for row in shown if row["neptune_step"] == 1] == [2.0, 3.0]
    assert [row["_step"] for row in rows] == list(range(len(rows)))


def test_the_run_has_the_start_of_neptune(load: Load) -> None:
    (run,) = load()["run"]
    assert (run.start_time.seconds, run.start_time.nanos) == (int(START.timestamp()), 789_000_000)


def test_charts_have_the_step_of_neptune_as_x_axis(load: Load) -> None:
    metrics = load(float_series("a", [(0, 1.0)]), float_series("b/c", [(0, 1.0)]))["metric"]
    assert {m.name: m.step_metric for m in metrics} == {
        "neptune_step": "",
        "a": "neptune_step",
        "b/c": "neptune_step",
    }


def test_config_has_types(load: Load) -> None:
    found = load(
        parameter("i", 3),
        parameter("f", 5.0),
        parameter("b", True),
        parameter("s", "x"),
        parameter("nan", float("nan")),
        parameter("huge", 2**60),
        parameter("-a", 1),
        parameter("a-", 2),
        parameter("a/b", 3),
        parameter("a_b", 4),
    )
    config = {i.key: json.loads(i.value_json) for each in found["config"] for i in each.update}
    assert [config[k] for k in ("i", "f", "b", "s", "nan", "huge")] == [3, 5.0, True, "x", "NaN", str(2**60)]
    assert sorted(v for k, v in config.items() if k.strip("_-").startswith("a")) == [1, 2, 3, 4]
    assert all(key == key.strip("-") for key in config)


def test_tags_are_cut_to_what_wandb_takes(load: Load) -> None:
    tags = ["short", "x" * 100, "x" * 99 + "y"]
    (run,) = load(parameter("sys/tags", tags))["run"]
    assert "short" in run.tags
    assert len(set(run.tags)) == 3
    assert all(1 <= len(tag) <= 64 for tag in run.tags)


@pytest.mark.parametrize(
    ("template", "expected"),
    [("{workspace}-{project}", "acme-vision"), ("all", "all"), ("{workspace}/{project}", "acme_vision-")],
)
def test_the_project_follows_the_template(load: Load, template: str, expected: str) -> None:
    (run,) = load(project=template)["run"]
    assert run.project.startswith(expected)
    assert "/" not in run.project


def test_text_series_are_tables_and_console_output_is_a_log(load: Load) -> None:
    found = load(
        string_series("notes", [(0, "first"), (1, "zwei\n")]),
        string_series("monitoring/1234/stdout", [(0, "epoch 1"), (1, "epoch 2\n")]),
    )
    tables = {n: v for row in _rows(found) for n, v in row.items() if isinstance(v, dict)}
    assert set(tables) == {"notes", "monitoring/1234/stdout"}
    table = json.loads((found["folder"] / "files" / tables["notes"]["path"]).read_text())
    assert table["columns"] == ["step", "time", "text"]
    assert [(row[0], row[2]) for row in table["data"]] == [(0, "first"), (1, "zwei\n")]
    assert datetime.fromisoformat(table["data"][0][1].replace("Z", "+00:00")) == FIRST_TIME
    assert [line.line for line in found["output_raw"]] == ["epoch 1\n", "epoch 2\n"]
    assert found["output_raw"][0].timestamp.seconds == int(FIRST_TIME.timestamp())


def test_console_streams_are_one_log_by_time(load: Load) -> None:
    """The lines of a sample series are a second apart, from the same second on."""
    found = load(
        string_series("monitoring/1/stderr", [(0, "error 1"), (1, "error 2")]),
        string_series("monitoring/1/stdout", [(0, "line 1"), (1, "line 2"), (2, "line 3")]),
    )
    lines = [(line.line, line.output_type) for line in found["output_raw"]]
    assert lines == [("error 1\n", 0), ("line 1\n", 1), ("error 2\n", 0), ("line 2\n", 1), ("line 3\n", 1)]


def test_a_long_text_series_is_several_tables(load: Load) -> None:
    found = load(string_series("notes", [(n, f"line {n}") for n in range(10_001)]))
    tables = [row["notes"]["nrows"] for row in _rows(found) if "notes" in row]
    assert tables == [10_000, 1]


def test_histograms_are_drawn_with_at_most_512_bins(load: Load) -> None:
    few = SampleHistogram((0.0, 1.0, 4.0), (3.0, 5.0))
    many = SampleHistogram(tuple(map(float, range(1_026))), (1.0,) * 1_025)
    found = load(histogram_series("h", [(0, few), (1, many)]))
    drawn = [row["h"] for row in _rows(found)]
    assert [len(h["values"]) for h in drawn] == [2, 342]
    assert [float(n) for n in drawn[0]["bins"]] == [0.0, 1.0, 4.0]
    assert sum(map(float, drawn[1]["values"])) == 1_025
    assert float(drawn[1]["bins"][-1]) == 1_025.0


def test_images_of_a_file_series_are_shown(load: Load) -> None:
    found = load(
        file_series("plots/roc", [(0, SampleFile(PNG, ".png")), (2, SampleFile(PNG + b"x", ".png"))])
    )
    shown = [row["plots/roc"] for row in _rows(found)]
    assert [(v["_type"], v["width"], v["height"], v["format"]) for v in shown] == [
        ("image-file", 3, 2, "png")
    ] * 2
    for value, content in zip(shown, (PNG, PNG + b"x"), strict=True):
        assert (found["folder"] / "files" / value["path"]).read_bytes() == content


def test_no_file_takes_the_place_of_one_of_wandb(load: Load) -> None:
    names = ["output.log", "config.yaml", "wandb-summary.json", "media/table/x.json", "a", "a/b"]
    found = load(*(file(name, name.encode(), "") for name in names))
    listed = {item.path for each in found["files"] for item in each.files}
    assert len(listed) == len(names) + 1
    assert not any(path in names[:3] or path.startswith("media/") for path in listed)


def test_the_summary_has_the_last_values(load: Load) -> None:
    (summary,) = load(float_series("a", [(3, 7.5), (1, 2.0)]), float_series("b", [(0, float("nan"))]))[
        "summary"
    ]
    values = {"/".join(item.nested_key): item.value_json for item in summary.update}
    assert (values["a"], values["b"]) == ("7.5", "NaN")


def test_the_run_ends_as_in_neptune(load: Load) -> None:
    (ending,) = load(parameter("sys/failed", True), parameter("sys/running_time", 61.5))["exit"]
    assert (ending.exit_code, ending.runtime) == (1, 61)


def test_a_difference_is_found(load: Load, tmp_path: Path) -> None:
    """A file that is gone, and one byte of the records."""
    run = SampleRun(RunKey("acme/vision", "RUN-1"), (file("model", b"weights", ".bin"),))
    sink = connected(WandbSettings("offline", tmp_path), LoadOptions())
    loaded = load_runs(sink, [MemoryRun(run)])[run.key]
    folder = folder_of(tmp_path / "wandb", loaded.target_id)
    (folder / "files/model.bin").unlink()
    assert Verdict.MISSING in {c.verdict for c in sink.verify(MemoryRun(run))}
    (path,) = folder.glob("*.wandb")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    (line,) = sink.verify(MemoryRun(run))
    assert (line.verdict, "damaged chunk" in line.found) == (Verdict.DIFFERENT, True)


def test_dates_before_1970_and_none_at_all(tmp_path: Path) -> None:
    early = SampleRun(
        RunKey("acme/vision", "early"),
        (
            parameter("sys/creation_time", datetime(1969, 12, 31, tzinfo=timezone.utc)),
            float_series("a", [(0, 1.0)]),
        ),
    )
    bare = SampleRun(RunKey("acme/vision", "bare"), (parameter("lr", 0.1),))
    sink = connected(WandbSettings("offline", tmp_path), LoadOptions())
    for run in (early, bare):
        load_runs(sink, [MemoryRun(run)])
        assert {c.verdict for c in sink.verify(MemoryRun(run), full=True)} == {Verdict.EQUAL}


def test_the_records_are_closed_also_where_the_histograms_cannot_be(tmp_path: Path) -> None:
    """A disk may be full: closing writes what is left."""
    writer = object.__new__(RecordOutput)
    writer._file = (tmp_path / "run.wandb").open("wb")
    writer._histograms = cast(Any, SimpleNamespace(close=_disk_is_full))
    with pytest.raises(OSError, match="full"):
        writer.close()
    assert writer._file.closed


def test_a_run_that_a_full_disk_ended_costs_no_other_run() -> None:
    """Closing tries again to write what did not fit: the first failure has said it."""
    writer = object.__new__(RecordOutput)
    writer._file = cast(Any, SimpleNamespace(close=_disk_is_full))
    writer._histograms = cast(Any, SimpleNamespace(close=lambda: None))
    writer.close()


def _disk_is_full() -> None:
    raise OSError("the disk is full")


def test_a_load_whose_run_another_one_removes_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second load begins the run again while the first has its folder, and nothing in it yet."""
    run = MemoryRun(SampleRun(RunKey("acme/vision", "RUN-1"), (float_series("loss", [(0, 1.0)]),)))
    first, second = (connected(WandbSettings("offline", tmp_path), LoadOptions()) for _ in range(2))
    opened, whole = RecordOutput.open, []

    def crossed(self: RecordOutput, folder: Path) -> Path:
        monkeypatch.setattr(RecordOutput, "open", opened)
        whole.append(load_runs(second, [run])[run.key].target_id)
        return opened(self, folder)

    monkeypatch.setattr(RecordOutput, "open", crossed)
    with pytest.raises(SinkError, match="another load has begun it again and removed this one"):
        load_runs(first, [run])
    assert [load_runs(first, [run])[run.key].target_id] == whole
