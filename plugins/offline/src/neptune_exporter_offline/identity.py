"""Which run a folder belongs to, and the folders of one run as one `SourceRun`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from neptune_exporter.contract import SourceRun, UsageError
from neptune_exporter.model import RunKey
from neptune_exporter.toolkit import clean
from neptune_exporter_offline.folders import Container, Folder
from neptune_exporter_offline.settings import UUID_FIELD, OfflineSettings
from neptune_exporter_offline.times import from_mtime


@dataclass(frozen=True)
class FoundRun:
    """A run with its folders, in the order in which their processes began."""

    key: RunKey
    folders: tuple[Folder, ...]

    def listed(self) -> SourceRun:
        notes = dict.fromkeys(note for folder in self.folders for note in self._notes(folder))
        return SourceRun(
            self.key,
            modified_at=from_mtime(max(f.modified_ns for f in self.folders)),
            name=next((f.name for f in reversed(self.folders) if f.name), None),
            handle=json.dumps([str(f.path) for f in self.folders]),
            size_hint=sum(f.size_hint for f in self.folders),
            requests_hint=0,
            notes=tuple(notes),
            partial=True,  # what the client had sent is not in the folders
            logs=self._logs(),
        )

    def _logs(self) -> tuple[tuple[str, int], ...]:
        """Each log once, as far as the longest copy of it goes."""
        logs: dict[str, int] = {}
        for folder in self.folders:
            logs[folder.log_name] = max(folder.extent, logs.get(folder.log_name, 0))
        return tuple(sorted(logs.items()))

    def _notes(self, folder: Folder) -> Iterable[str]:
        yield from folder.notes
        if folder.is_project:
            yield "Metadata of the project itself, not of a run"


def identify(folders: Sequence[Folder], settings: OfflineSettings) -> dict[RunKey, FoundRun]:
    """The runs that the folders belong to. Raises UsageError if --offline-run-id names a folder that was not
    found, or gives one id to several runs."""
    folders = named_by_copies(folders)
    ids = _checked_ids(folders, settings)
    projects = _default_projects(folders)
    runs: dict[RunKey, list[Folder]] = {}
    for folder in folders:
        project_id = folder.project_id or settings.project or projects[folder.container]
        key = RunKey(project_id, _run_id(folder, ids, settings.run_id_pattern), folder.kind)
        runs.setdefault(key, []).append(folder)
    for key, members in runs.items():
        containers = {f.container for f in members}
        if len(containers) > 1:
            names = ", ".join(sorted(f.label for f in members))
            raise UsageError(
                f"--offline-run-id gives {len(containers)} different runs the id {key.run_id}: {names}; "
                f"put {UUID_FIELD} into the pattern, or name single runs as FOLDER=ID"
            )
    return {key: FoundRun(key, tuple(members)) for key, members in sorted(runs.items())}


def _checked_ids(folders: Sequence[Folder], settings: OfflineSettings) -> dict[str, str]:
    ids = settings.run_ids
    unknown = sorted(ids.keys() - {name for f in folders if f.client == 2 for name in _names(f)})
    if unknown:
        raise UsageError(
            f"--offline-run-id {unknown[0]}=…: no Neptune 2.x folder or uuid of that name was found "
            f"in {', '.join(settings.path)}"
        )
    return ids


def _run_id(folder: Folder, ids: Mapping[str, str], pattern: str | None) -> str:
    if folder.client == 3:
        return folder.container_id
    default = f"project-{folder.container_id}" if folder.is_project else folder.container_id
    own = next((ids[name] for name in _names(folder) if name in ids), None)
    return own or (pattern or UUID_FIELD).replace(UUID_FIELD, default)


def _names(folder: Folder) -> tuple[str, ...]:
    return folder.label, folder.path.name, folder.container_id


def _default_projects(folders: Sequence[Folder]) -> dict[Container, str]:
    """The project of each run, made from the folder in which it was logged. If there are copies, that of the
    copy that changed last."""
    last: dict[Container, Folder] = {}
    for folder in sorted(folders, key=lambda f: (-f.modified_ns, len(f.path.parts), f.path)):
        last.setdefault(folder.container, folder)
    return {
        container: f"offline/{clean(folder.working_directory.name) or 'runs'}"
        for container, folder in last.items()
    }


def named_by_copies(folders: Sequence[Folder]) -> list[Folder]:
    """Databases that cannot be read, and logs that do not name their run, get its id from a copy of them, if
    there is one."""
    # The first copy that has a name comes last here, and so stays.
    known = {_of_all_copies(folder): folder for folder in sorted(folders, key=_is_nameless)[::-1]}
    return [_named_like(folder, known[_of_all_copies(folder)]) for folder in folders]


def _is_nameless(folder: Folder) -> bool:
    return folder.is_anonymous if folder.client == 2 else not folder.project_id


def _of_all_copies(folder: Folder) -> object:
    """What is the same for all copies of a log or database, and differs for all others."""
    if folder.client == 3:
        return folder.process
    return folder.start if folder.start is not None and folder.start.at else folder.path


def _named_like(folder: Folder, copy: Folder) -> Folder:
    if not _is_nameless(folder):
        return folder
    own = {name: getattr(copy, name) for name in ("project_id", "container_id", "kind", "is_project")}
    return replace(folder, **own)
