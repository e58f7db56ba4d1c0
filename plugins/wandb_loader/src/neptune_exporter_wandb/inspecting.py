"""Reads a run's folder with wandb's own reader, `wandb leet inspect` (new in wandb 0.31)."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from neptune_exporter.contract import Comparison, SinkError, Verdict
from neptune_exporter.model import RunKey
from neptune_exporter_wandb.records import About, Record, Row

_ITEM = "run as wandb's own reader sees it"
_TIMEOUT = 600
_COMMAND = [sys.executable, "-m", "wandb", "leet", "inspect", "--json"]
_TYPE = "._type"


def compare_inspected(key: RunKey, folder: Path, run_id: str, rows: int) -> Comparison:
    """One line: whether wandb finds the run with its last row and its end."""
    command = [*_COMMAND, "--summary", str(folder)]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT)
    expected = f"{run_id}, last row {rows - 1}, ended"
    try:
        said = json.loads(done.stdout)
    except ValueError:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        usage = done.returncode == 2  # a wandb without this command
        verdict = Verdict.UNKNOWN if usage else Verdict.DIFFERENT
        return Comparison(key, _ITEM, verdict, expected, words[-1] if words else "no answer")
    last = said.get("step") if rows else -1
    ended = "ended" if said.get("state") in ("finished", "failed", "crashed") else "not ended"
    found = f"{said.get('run_id')}, last row {last}, {ended}"
    return Comparison(key, _ITEM, Verdict.EQUAL if found == expected else Verdict.DIFFERENT, expected, found)


def read(folder: Path, run_id: str) -> Iterator[Record]:
    """What the records of a run say, read by wandb itself: for files of a format that is not known.

    It shows a number that is not finite as a text, and -0.0 as 0. Raises SinkError if this wandb has no such
    command, or cannot read the file, and ValueError if what it says has another form.
    """
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(
            [*_COMMAND, str(folder)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            yield from of_line(json.loads(line, parse_float=str, parse_int=str), line)
        if process.wait(_TIMEOUT):
            words.seek(0)
            said = words.read().decode("utf-8", "replace").strip().splitlines()
            raise SinkError(f"{folder}: `wandb leet inspect`: {said[-1] if said else 'cannot read it'}")


def of_line(texts: Mapping[str, Any], line: bytes) -> Iterator[Record]:
    """What one line of its answer says.

    Args:
        texts: A record, with its numbers as texts.
        line: The same, as it came.
    """
    kind = texts.get("type")
    if kind == "history":
        yield _row(texts["history"], json.loads(line)["history"]["item"])
    elif kind == "run":
        run = json.loads(line)["run"]
        yield About(run.get("display_name", ""), run.get("config", {}).get("update", {}))
    elif kind == "config":
        yield About(config=json.loads(line)["config"].get("update", {}))
    elif kind == "files":
        yield About(paths=[item["path"] for item in texts["files"].get("files", ())])
    elif kind == "exit":
        yield About(ended=True)


def _row(texts: Mapping[str, Any], values: Mapping[str, Any]) -> Row:
    """It joins the name of a value with that of each part by a dot."""
    row = Row(int(texts["step"]["num"]), {}, {})
    typed = [key.removesuffix(_TYPE) for key in values if key.endswith(_TYPE) and _has_type(texts, key)]
    for key, text in texts["item"].items():
        name = next((name for name in typed if key.startswith(f"{name}.")), None)
        if name is None:
            row.values[key] = text
        else:
            row.parts[name, key[len(name) + 1 :]] = values[key]
    return row


def _has_type(texts: Mapping[str, Any], key: str) -> bool:
    """A series may have such a name, too: then its value is a number."""
    return texts["item"][key] in ("table-file", "histogram", "image-file", "video-file", "audio-file")
