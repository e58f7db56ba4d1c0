"""Accepted gaps do not fail a verification; anything new does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from neptune_exporter.contract import UsageError
from neptune_exporter.dataset import Dataset, Finding, verify
from neptune_exporter.dataset.check import run_check
from neptune_exporter.jobs.accepting import accepted_document, divide, read_accepted

EXISTING = Path(__file__).parents[3] / "tests" / "data" / "existing-export"


@pytest.fixture
def existing(tmp_path: Path) -> Dataset:
    shutil.copytree(EXISTING, tmp_path / "e")
    return Dataset(tmp_path / "e" / "data", tmp_path / "e" / "files")


def damage(dataset: Dataset) -> list[Finding]:
    return [f for f in verify(dataset) if isinstance(f, Finding) and f.is_damage]


def test_what_is_accepted_is_known_and_the_rest_is_new(existing: Dataset, tmp_path: Path) -> None:
    part = min(existing.data_path.rglob("run-a*_part_1.parquet"))
    content = part.read_bytes()
    part.write_bytes(content[:-100])
    found = damage(existing)
    assert len(found) > 1
    path = tmp_path / "accepted.json"
    path.write_text(json.dumps(accepted_document(existing, found)))
    accepted = read_accepted(path)
    assert divide(existing, found, accepted) == ([], found, 0)

    part.write_bytes(content[:-101])  # damaged otherwise: what is said of it may be the same
    new, old, outdated = divide(existing, damage(existing), accepted)
    assert [f.item.rpartition("/")[2] for f in new] == [part.name]
    assert len(old) == len(found) - 1 and outdated == 1

    part.write_bytes(content)
    assert divide(existing, damage(existing), accepted)[0] == []


def test_reworded_advice_is_nothing_new(
    existing: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = damage(existing)
    path = tmp_path / "accepted.json"
    path.write_text(json.dumps(accepted_document(existing, found)))
    monkeypatch.setattr(run_check, "advice", lambda run, force=False: "do something else")
    again = damage(existing)
    assert again != found and "do something else" in again[0].message
    assert divide(existing, again, read_accepted(path)) == ([], again, 0)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other"}', '{"format": 1, "accepted": 2}'])
def test_a_file_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "accepted.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="--accept") as error:
        read_accepted(path)
    assert "indices" not in str(error.value)


def test_a_file_that_is_not_there_is_refused_with_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read: .*; `verify --write-accepted` writes one"):
        read_accepted(tmp_path / "missing.json")
