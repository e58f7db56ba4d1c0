"""Applies the operations of the 2.x client (`neptune.internal.operation`) to the state of a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from neptune_exporter.model import AttributeType, SysAttribute
from neptune_exporter.toolkit import clean
from neptune_exporter_offline.counting import StepCounter, number_of, sign
from neptune_exporter_offline.files import BY_PATH, COPY, INLINE, FileReference, base_name
from neptune_exporter_offline.filesets import Removal, Tracked, Upload
from neptune_exporter_offline.folders import Folder, start_of
from neptune_exporter_offline.oplog import Record
from neptune_exporter_offline.state import State
from neptune_exporter_offline.times import NO_TIME, from_seconds, to_datetime

Operation = dict[str, Any]

Places = Mapping[int, Collection[float]]
"""For a process: the numbers of the records that begin a file of its logs or follow a gap, each with the
times that the logs give for it (logs for several servers differ in the time)."""

_COPIED_TYPES = {
    "Float": AttributeType.FLOAT,
    "Integer": AttributeType.INT,
    "Boolean": AttributeType.BOOL,
    "String": AttributeType.STRING,
    "Datetime": AttributeType.DATETIME,
}
"""Attribute classes of the client that can be copied, by name."""

_CAPTIONS = ("name", "description")
"""Texts of an image (`neptune.internal.operation.ImageValue`); the server keeps them with each point."""

_MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)


class Neptune2Replay:
    """Applies records in the order in which they were logged."""

    def __init__(
        self,
        state: State,
        folders: Sequence[Folder],
        processes: Sequence[Sequence[int]],
        steps: StepCounter,
        places: Sequence[Places],
    ) -> None:
        self._state = state
        self._folders = folders
        self._processes = processes
        self._process_of = {index: n for n, process in enumerate(processes) for index in process}
        self._steps = steps
        self._places = places
        self._begun: set[int] = set()
        numbers = (number for each in places for number in each)
        self._numbers = {*numbers, *map(number_of, steps.places)}
        self._folder = 0
        self._record = Record(0.0, {}, "", 0, 0, 0)
        self._replaced = False
        self._handlers: dict[str, Callable[[str, Operation], None]] = {
            "AssignFloat": lambda path, op: state.assign(path, AttributeType.FLOAT, float(op["value"])),
            "AssignInt": self._assign_int,
            "AssignBool": lambda path, op: state.assign(path, AttributeType.BOOL, bool(op["value"])),
            "AssignString": lambda path, op: state.assign(
                path, AttributeType.STRING, self._text(op["value"])
            ),
            "AssignDatetime": lambda path, op: state.assign(
                path, AttributeType.DATETIME, to_datetime(op["value"])
            ),
            "AssignArtifact": self._assign_artifact,
            "TrackFilesToArtifact": self._track_files,
            "ClearArtifact": lambda path, op: state.changes(path, AttributeType.ARTIFACT).clear(),
            "UploadFile": self._upload_file,
            "UploadFileContent": self._upload_content,
            "UploadFileSet": self._upload_file_set,
            "DeleteFiles": self._delete_files,
            "LogFloats": partial(self._log, AttributeType.FLOAT_SERIES, float),
            "LogStrings": partial(self._log, AttributeType.STRING_SERIES, self._text),
            "LogImages": self._log_images,
            "ClearFloatLog": lambda path, op: self._clear(path, AttributeType.FLOAT_SERIES),
            "ClearStringLog": lambda path, op: self._clear(path, AttributeType.STRING_SERIES),
            "ClearImageLog": lambda path, op: self._clear(path, AttributeType.FILE_SERIES),
            "ConfigFloatSeries": self._configure,
            "AddStrings": lambda path, op: state.strings(path).update(map(self._text, op["values"])),
            "RemoveStrings": lambda path, op: state.strings(path).difference_update(
                map(self._text, op["values"])
            ),
            "ClearStringSet": lambda path, op: state.strings(path).clear(),
            "DeleteAttribute": self._delete,
            "CopyAttribute": self._copy,
        }

    def apply(self, folder: int, record: Record) -> None:
        """Apply one operation; one that cannot be understood is reported and left out."""
        operation = record.operation
        if record.number in self._numbers:
            self._reach(folder, record)
        try:
            path = self._path(operation["path"])
        except _MALFORMED:
            self._state.problems.add("", None, "an operation without a path was not applied")
            return
        handler = self._handlers.get(str(operation.get("type")))
        if handler is None:
            message = f"operations of the type {operation.get('type')!r} are not known and were not applied"
            self._state.problems.add(path, None, message, permanent=False)
            return
        self._folder, self._record = folder, record
        try:
            handler(path, operation)
        except _MALFORMED:
            message = f"a malformed {operation['type']} operation was not applied"
            self._state.problems.add(path, None, message)

    def finish(self, run_id: str) -> None:
        """Add attributes that the folder tells and no operation does."""
        self._state.set_default(SysAttribute.ID, AttributeType.STRING, run_id)
        if self._steps.is_uncertain:
            self._report_counting()
        if self._replaced:
            self._state.problems.note(
                "Text that is no Unicode (names of files, mostly) has U+FFFD where UTF-8 cannot hold it"
            )
        begun = [f.started_at for f in self._folders if f.started_at is not None]
        if begun and all(f.offline for f in self._folders):
            self._state.set_default(SysAttribute.CREATION_TIME, AttributeType.DATETIME, min(begun))

    def _reach(self, folder: int, record: Record) -> None:
        """Tell the counter of a place from which a later export may begin to read."""
        process = self._process_of[folder]
        start = start_of(record)
        name = "/".join(self._folders[folder].process)
        logged = self._places[process].get(record.number)
        signs = {sign(start._replace(at=at), name) for at in (start.at, *(logged or ()))}
        if logged or not signs.isdisjoint(self._steps.places):
            # Of a process that sent its first operations to a server, they were deleted.
            first = min(self._folders[index].first_operation for index in self._processes[process])
            self._steps.reach(signs, is_cut=process not in self._begun and first > 1)
        self._begun.add(process)

    def _report_counting(self) -> None:
        """Say how points were counted if it is not known how many came before them."""
        if self._steps.forgot:
            self._state.problems.add(
                "",
                None,
                "where earlier exports stopped counting is no longer known: points logged without a step may "
                "be there twice, under different steps",
            )
        elif self._steps.goes_on:
            self._state.problems.note(
                "Operations between the last export and what is left here were sent and deleted: points "
                "logged without a step are counted on from the last one that was exported"
            )
        else:
            self._state.problems.note("Points logged without a step are counted from 0 in what is left here")

    def _clear(self, path: str, attribute_type: AttributeType) -> None:
        self._state.clear_series(path, attribute_type)
        if self._state.attributes[path].type is attribute_type:
            self._steps.clear(path)

    def _delete(self, path: str, operation: Operation) -> None:
        self._state.delete(path)
        self._steps.clear(path)

    def _assign_int(self, path: str, operation: Operation) -> None:
        value = operation["value"]
        # The parser makes a double of what 64 bits cannot hold: -2**63 may have been less.
        if abs(value) < 2**63 or (value == -(2**63) and isinstance(value, int)):
            self._state.assign(path, AttributeType.INT, int(value))
        else:
            message = f"{value!s:.100} is beyond the integers of 64 bits and was not assigned"
            self._state.problems.add(path, AttributeType.INT, message)

    def _log(self, kind: AttributeType, read: Callable[[Any], Any], path: str, operation: Operation) -> None:
        series, is_text = self._state.series(path, kind), kind is AttributeType.STRING_SERIES
        if self._is(path, kind):
            for entry in operation["values"]:
                value, time = read(entry["value"]), self._time(entry["ts"])
                step = self._steps.step(path, entry.get("step"))
                if series is not None:
                    series.add(step, time, value, 60 + 2 * len(value) if is_text else 0)

    def _log_images(self, path: str, operation: Operation) -> None:
        series = self._state.series(path, AttributeType.FILE_SERIES)
        if not self._is(path, AttributeType.FILE_SERIES):
            return
        for index, entry in enumerate(operation["values"]):
            value, time = entry["value"], self._time(entry["ts"])
            reference = self._inline("", index).encode()
            step = self._steps.step(path, entry.get("step"))
            if series is None:
                continue
            series.add(step, time, reference, 60 + len(reference))
            for name in _CAPTIONS if isinstance(value, dict) else ():
                if value.get(name):
                    text = self._text(value[name])
                    self._state.caption(path, name).add(step, time, text, 60 + 2 * len(text))

    def _time(self, seconds: Any) -> int | None:
        """The time of a point; None, with a note, if the dataset cannot hold it."""
        time = from_seconds(seconds)
        if time is None:
            self._state.problems.note(NO_TIME)
        return time

    def _is(self, path: str, attribute_type: AttributeType) -> bool:
        """Whether the attribute has this type. If so, its points are counted, even if it is not wanted."""
        return self._state.attributes[path].type is attribute_type

    def _upload_file(self, path: str, operation: Operation) -> None:
        extension = f".{operation['ext']}" if operation.get("ext") else ""
        if operation.get("file_path"):
            file_path = _string(operation["file_path"])
            name, at = base_name(file_path), self._record.at
            reference = FileReference(self._folder, BY_PATH, file_path, name, at=at)
        else:
            reference = FileReference(self._folder, COPY, _string(operation["tmp_file_name"]), extension)
        self._state.assign(path, AttributeType.FILE, reference)

    def _upload_content(self, path: str, operation: Operation) -> None:
        extension = f".{operation['ext']}" if operation.get("ext") else ""
        _string(operation["file_content"])
        self._state.assign(path, AttributeType.FILE, self._inline(extension))

    def _inline(self, name: str, index: int = 0) -> FileReference:
        at = self._record
        return FileReference(self._folder, INLINE, "", name, at.file, at.offset, at.length, index)

    def _upload_file_set(self, path: str, operation: Operation) -> None:
        patterns = tuple(map(_string, operation["file_globs"]))
        upload = Upload(patterns, self._working_directories, self._record.at)
        changes = self._state.changes(path, AttributeType.FILE_SET)
        if operation["reset"] not in (False, "False"):
            changes.clear()
        changes.append(upload)

    def _delete_files(self, path: str, operation: Operation) -> None:
        self._state.changes(path, AttributeType.FILE_SET).append(Removal(frozenset(operation["file_paths"])))

    def _assign_artifact(self, path: str, operation: Operation) -> None:
        self._state.changes(path, AttributeType.ARTIFACT)[:] = [self._text(operation["hash"])]

    def _track_files(self, path: str, operation: Operation) -> None:
        where, at = self._working_directories, self._record.at
        tracked = [Tracked(_string(source), target, where, at) for source, target in operation["entries"]]
        self._state.changes(path, AttributeType.ARTIFACT).extend(tracked)

    def _path(self, parts: list[str]) -> str:
        joined = "/".join(parts) if "" not in parts else "/".join(part for part in parts if part)
        return self._text(joined)

    def _text(self, value: object) -> str:
        """The text as the dataset can hold it; notes if that changes it."""
        text = _string(value)
        cleaned = clean(text)
        if cleaned is not text:
            self._replaced = True
        return cleaned

    @property
    def _working_directories(self) -> tuple[Path, ...]:
        """Where the process may have run: above its folder, or above a folder that this one is a copy of."""
        (process,) = (p for p in self._processes if self._folder in p)
        first = [self._folder, *(index for index in process if index != self._folder)]
        return tuple(self._folders[index].working_directory for index in first)

    def _configure(self, path: str, operation: Operation) -> None:
        self._state.series(path, AttributeType.FLOAT_SERIES)
        if any(operation.get(name) is not None for name in ("min", "max", "unit")):
            self._state.problems.note("Units and value ranges of charts have no place in the dataset")

    def _copy(self, path: str, operation: Operation) -> None:
        attribute_type = _COPIED_TYPES[operation["source_attr_name"]]
        source_path = self._path(operation["source_path"])
        container = operation["container_id"]
        source = self._state.attributes.get(source_path)
        is_here = container == self._folders[self._folder].container_id
        if not is_here or source is None or source.type is not attribute_type:
            self._state.problems.add(
                path,
                attribute_type,
                f"it was copied from {source_path} of {operation['container_type']} {container}, whose "
                "value is not in this run's folders",
            )
            return
        self._state.assign(path, attribute_type, source.value)


def _string(value: object) -> str:
    """The text exactly as it was logged: a path that is changed in any way finds no file."""
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value
