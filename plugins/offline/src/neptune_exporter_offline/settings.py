"""The settings of the source."""

from __future__ import annotations

from dataclasses import dataclass

from neptune_exporter.contract import UsageError, setting

UUID_FIELD = "{uuid}"


@dataclass(frozen=True)
class OfflineSettings:
    """Where the folders are, and what the client of Neptune 2.x did not write into them."""

    path: tuple[str, ...] = setting(
        default=(".neptune",),
        help="Where to look for runs: a .neptune folder, the folder of one run, or any folder above. "
        "Folders below are searched too. Can be given several times.",
        env=("NEPTUNE_DATA_DIRECTORY", "NEPTUNE_LOG_DIRECTORY"),
    )
    project: str | None = setting(
        default=None,
        help="Project (workspace/project) for runs of Neptune 2.x, whose folders do not contain a project "
        "name. Default: offline/NAME, where NAME is the folder that contains .neptune. Runs of Neptune 3.x "
        "always keep their own project.",
    )
    run_id: tuple[str, ...] = setting(
        default=(),
        help="Run id for runs of Neptune 2.x. Their folders contain only a UUID, which is the default id. "
        "FOLDER=ID or UUID=ID sets the id of one run and can be given several times; a pattern such as "
        "'OLD-{uuid}' sets the ids of all other runs.",
    )
    read_files: bool = setting(
        default=True,
        help="Read files that were logged by path, if they still exist on this machine. The Neptune clients "
        "store only the paths of such files. Files that a client copied are always read.",
    )

    def __post_init__(self) -> None:
        patterns = [entry for entry in self.run_id if "=" not in entry]
        if len(patterns) > 1:
            raise UsageError(
                f"--offline-run-id: more than one pattern ({', '.join(patterns)}); "
                "give one, and FOLDER=ID for single runs"
            )
        for entry in self.run_id:
            if not entry.partition("=")[2 if "=" in entry else 0].strip():
                raise UsageError(f"--offline-run-id {entry!r}: the id is empty; write FOLDER=ID")
        if self.project is not None and not self.project.strip("/ "):
            raise UsageError("--offline-project is empty; write workspace/project")

    @property
    def run_id_pattern(self) -> str | None:
        """The entry that is for every run without one of its own."""
        return next((entry for entry in self.run_id if "=" not in entry), None)

    @property
    def run_ids(self) -> dict[str, str]:
        """Run ids by folder name or uuid."""
        pairs = (entry.partition("=") for entry in self.run_id if "=" in entry)
        return {folder: run_id for folder, _, run_id in pairs}
