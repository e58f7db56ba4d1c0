"""Files: names, sizes, steps and times as Pluto lists them, and with `full` the bytes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sized
from typing import Any

from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter.sinks.files import RESTORABLE
from neptune_exporter.toolkit.measuring import measured
from neptune_exporter_pluto.entries import Entries
from neptune_exporter_pluto.file_tasks import FileTask, file_tasks, text_tasks
from neptune_exporter_pluto.form.losses import FILES_NOT_SENT, LossCode
from neptune_exporter_pluto.form.values import shown_step, times_of
from neptune_exporter_pluto.service.api import MAX_FILES_LISTED
from neptune_exporter_pluto.verify.context import Check

ITEM = "files of "
_LAST_TIME = 253_402_300_799_999
"""ms since 1970: Pluto shows no time after 9999 (seen on the real one, with ClickHouse 26.9)."""

Listed = dict[str, list[dict[str, Any]]]


def compare_files(check: Check, entries: Entries) -> Iterator[Comparison]:
    by_name = _sent(check, entries)
    listed = check.patiently(
        lambda: _listing(check, by_name),
        lambda found: all(len(found.get(n, ())) >= min(len(w), MAX_FILES_LISTED) for n, w in by_name.items()),
    )
    for name, wanted in by_name.items():
        yield from _compare(check, wanted, listed.pop(name, []))
    for name, rows in listed.items():
        if len({row["fileName"] for row in rows}) <= _not_here(check, name):
            yield check.line(ITEM + name, Verdict.UNKNOWN, 0, f"{len(rows)} found, which this dataset lacks")
        else:
            yield check.line(ITEM + name, Verdict.EXTRA, 0, len(rows))
    arrived = {task.path for wanted in by_name.values() for task in wanted.values()}
    yield from _compare_lost(check, arrived.union(listed))


def _sent(check: Check, entries: Entries) -> dict[str, dict[str, FileTask]]:
    """What the load sent, by log name and file name."""
    by_name: dict[str, dict[str, FileTask]] = defaultdict(dict)
    texts = text_tasks(check.content.names, entries.texts, check.metadata.ended or 0)
    for task in [*texts, *file_tasks(check.content, texts)]:
        by_name[task.to_sign.log_name][task.to_sign.file_name] = task
    return by_name


def _not_here(check: Check, path: str) -> int:
    """How many files of an attribute are missing or damaged here: another machine may have had them."""
    return check.content.losses.count(RESTORABLE, path)


def _compare_lost(check: Check, listed: Collection[str]) -> Iterator[Comparison]:
    """Attributes of whose files none could be sent, unless they are listed."""
    lost: Counter[str] = Counter()
    for loss in check.content.losses.losses():
        if loss.reason in FILES_NOT_SENT and loss.attribute_path is not None:
            lost[loss.attribute_path] += loss.count
    for path, count in lost.items():
        if path not in listed:
            yield check.line(ITEM + path, Verdict.LOST, count, 0)


def _listing(check: Check, wanted: Mapping[str, Sized]) -> Listed:
    """What Pluto lists, by log name. At most 1,000 rows come at once, so many files are asked for by name."""
    listed: Listed = defaultdict(list)
    if sum(map(len, wanted.values())) < MAX_FILES_LISTED:
        rows = check.api.files(check.project, check.run_id, None)
        if len(rows) < MAX_FILES_LISTED:
            for row in rows:
                listed[row["logName"]].append(row)
            return listed
    for name in wanted:
        listed[name] = check.api.files(check.project, check.run_id, name)
    return listed


def _compare(check: Check, wanted: dict[str, FileTask], rows: list[dict[str, Any]]) -> Iterator[Comparison]:
    path = next(iter(wanted.values())).path
    item = ITEM + path
    times = Counter(row["fileName"] for row in rows)
    hidden = len(rows) >= MAX_FILES_LISTED and len(wanted) > len(times)
    missing = [] if hidden else [name for name in wanted if name not in times]
    if missing:
        yield check.line(item, Verdict.MISSING, len(wanted), f"{len(times)}; {missing[0]!r} is not there")
    else:
        yield _of_present(check, path, wanted, rows, times)
    if hidden:
        left = len(wanted) - len(times)
        yield check.line(
            item, Verdict.UNKNOWN, left, f"Pluto lists no more than {MAX_FILES_LISTED} files of a name"
        )
    if check.full:
        yield from _compare_bytes(check, wanted, rows, item)


def _of_present(
    check: Check, path: str, wanted: dict[str, FileTask], rows: list[dict[str, Any]], times: Counter[str]
) -> Comparison:
    """The line of an attribute of which no file is missing, as far as Pluto lists them."""
    item = ITEM + path
    extra = [name for name in times if name not in wanted]
    lacking = 0 < len(extra) <= _not_here(check, path)
    if extra and not lacking:
        return check.line(item, Verdict.EXTRA, len(wanted), f"{len(times)}; {extra[0]!r} is too much")
    wrong = next(_differences(wanted, rows), None)
    if wrong is not None:
        return check.line(item, Verdict.DIFFERENT, *wrong)
    twice = len(rows) - len(times)
    if twice:
        known = check.recorded([LossCode.FILE_LISTED_TWICE], path)
        return check.line(item, Verdict.LOST if twice <= known else Verdict.EXTRA, len(wanted), len(rows))
    if lacking:
        found = f"{len(times)} found; {extra[0]!r} is one that this dataset lacks"
        return check.line(item, Verdict.UNKNOWN, len(wanted), found)
    return check.counted(item, len(times), len(times), path)


def _differences(wanted: dict[str, FileTask], rows: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """What the load announced of a file, and what Pluto lists. Steps compare as the doubles of JavaScript."""
    for row, time in zip(rows, times_of(rows).tolist(), strict=True):
        task = wanted.get(row["fileName"])
        if task is None:
            continue
        sent, size, step = task.to_sign, int(row["fileSize"]), shown_step(row["step"])
        where = f"of {sent.file_name!r}"
        if size != sent.size:
            yield f"{sent.size} bytes", f"{size} bytes {where}"
        if float(step) != float(sent.step):
            yield f"step {sent.step}", f"step {step} {where}"
        if time != min(sent.time, _LAST_TIME):
            yield f"time {sent.time}", f"time {time} {where}"


def _compare_bytes(
    check: Check, wanted: dict[str, FileTask], rows: list[dict[str, Any]], item: str
) -> Iterator[Comparison]:
    same = 0
    for row in {row["fileName"]: row for row in rows}.values():
        task = wanted.get(row["fileName"])
        if task is None:
            continue
        expected = task.sha256
        if expected is None:
            with task.open() as file:
                expected = measured(file)[1]
        found = check.session.storage.sha256(row["url"], f"download of a file of run {check.run_id}")
        if found == expected:
            same += 1
        else:
            text = "its bytes are not there" if found is None else f"SHA-256 {found}"
            yield check.line(f"{item}: {row['fileName']}", Verdict.DIFFERENT, f"SHA-256 {expected}", text)
    if same:
        yield check.line(f"{item}: bytes", Verdict.EQUAL, same, same)
