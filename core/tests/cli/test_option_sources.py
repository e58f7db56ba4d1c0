"""Every option of a command is also a variable and a key in neptune-exporter.toml; wrong ones are named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import Result

from neptune_exporter.cli.app import app
from neptune_exporter.cli.config_tables import NOT_IN_FILES, command_tables, file_values
from neptune_exporter.cli.option import CommandOption
from neptune_exporter.cli.state import State
from neptune_exporter.plugins import RESERVED_NAMES

Run = Callable[..., Result]


def configure(folder: Path, text: str) -> Path:
    path = folder / "neptune-exporter.toml"
    path.write_text(text)
    return path


def error_of(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    line = result.stderr.removesuffix("\n")
    assert "\n" not in line and line.startswith("error: ")
    return line


def test_every_option_of_a_command_has_a_variable_and_a_key() -> None:
    with click.Context(app, obj=State(builtin_only=True)) as ctx:
        tables = command_tables(ctx)
    assert {"export", "export-models", "projects", "summary", "load", "verify"} == set(tables)
    for name, command in tables.items():
        own = [p for p in command.params if isinstance(p, click.Option)]
        assert all(isinstance(option, CommandOption) for option in own), name
    assert set(NOT_IN_FILES) == {"config"}
    with click.Context(app, obj=State(builtin_only=True)) as ctx:
        assert {*tables, "general", *app.list_commands(ctx)} == RESERVED_NAMES


def test_every_variable_and_every_key_reaches_its_option(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all commands, also those of installed plugins."""
    state = State()
    with click.Context(app, obj=state) as root:
        tables = command_tables(root)
        assert len(tables) >= 6
        for name, command in tables.items():
            with click.Context(command, info_name=name, parent=root) as ctx:
                command.name = name
                for option in command.params:
                    if not isinstance(option, CommandOption) or option.key in NOT_IN_FILES:
                        continue
                    for variable in option.variables(name):
                        with monkeypatch.context() as environment:
                            environment.setenv(variable, "1")
                            assert option.value_from_envvar(ctx) in ("1", ("1",)), variable
                    is_number = option.count or isinstance(option.type, click.types.IntParamType)
                    value = "true" if option.is_flag else "1" if is_number else '"1"'
                    for table in (name, "general"):
                        configure(folder, f"[{table}]\n{option.key} = {value}\n")
                        vars(state).pop("files", None)
                        assert option.name in file_values(command, ctx), (table, option.key)


def test_a_flag_counts_before_a_variable_and_that_before_a_file(
    run: Run, tracker: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(folder, '[general]\ndata_path = "of-general"\n[export]\ndata_path = "of-export"\nworkers = 1\n')
    monkeypatch.setenv("NEPTUNE_EXPORTER_FILES_PATH", "files-of-variable")
    monkeypatch.setenv("NEPTUNE_EXPORTER_EXPORTER", "tracker")
    assert run("export").exit_code == 0
    assert (folder / "of-export").is_dir() and (folder / "files-of-variable").is_dir()

    monkeypatch.setenv("NEPTUNE_EXPORTER_DATA_PATH", "of-variable")
    monkeypatch.setenv("NEPTUNE_EXPORTER_FILES_PATH", "files-2")
    assert run("export").exit_code == 0
    assert (folder / "of-variable").is_dir()

    monkeypatch.setenv("NEPTUNE_EXPORTER_EXPORT_DATA_PATH", "of-export-variable")
    monkeypatch.setenv("NEPTUNE_EXPORTER_FILES_PATH", "files-3")
    assert run("export").exit_code == 0
    assert (folder / "of-export-variable").is_dir()

    assert run("export", "-d", "of-flag", "-f", "files-4").exit_code == 0
    assert (folder / "of-flag").is_dir() and not (folder / "of-general").exists()


def test_values_of_a_file(run: Run, tracker: ModuleType, folder: Path) -> None:
    text = """
[general]
data_path = "archive/data"
files_path = "archive/files"
log_file = "log.txt"
[export]
exporter = "tracker"
project_ids = ["acme/vision"]
runs = "RUN-1"
dry_run = true
json = true
"""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    path = configure(elsewhere, text)
    result = run("export", "--config", str(path))
    assert result.exit_code == 0
    assert '"run_id": "RUN-1"' in result.stdout and "RUN-10" not in result.stdout
    assert (elsewhere / "log.txt").exists()
    path.write_text(text.replace("dry_run = true", ""))
    assert run("--config", str(path), "export").exit_code == 0
    assert (elsewhere / "archive" / "data").is_dir()


def test_several_values_in_a_variable(
    run: Run, tracker: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEPTUNE_EXPORTER_PROJECT_IDS", "acme/vision, acme/text")
    monkeypatch.setenv("NEPTUNE_EXPORTER_RUNS", "RUN-1{1,2}\nEXP-2")
    monkeypatch.setenv("NEPTUNE_EXPORTER_DRY_RUN", "yes")
    result = run("export", "--exporter", "tracker", "--json")
    assert sorted(set(re.findall(r'"run_id": "(.*)"', result.stdout))) == ["EXP-2", "RUN-1"]


WRONG = {
    "table": ("[exprot]\n", "no command and no plugin has the table [exprot]; did you mean export"),
    "plugin": ("[traker]\n", "has the table [traker]; did you mean tracker"),
    "key": ("[export]\nworker = 1\n", "[export] has no setting worker; did you mean workers"),
    "general": ("[general]\ndatapath = 'x'\n", "[general] has no setting datapath; did you mean data_path?"),
    "other-command": ("[load]\nforce = true\n", "[load] has no setting force; "),
    "of-a-plugin": ("[tracker]\npages = 1\n", "[tracker] has no setting pages; did you mean page?"),
    "config": ("[general]\nconfig = 'x'\n", "[general] has no setting config; "),
    "not-whole": ("[export]\nworkers = 'two'\n", "[export] workers: must be a whole number, not 'two'"),
    "not-a-flag": ("[export]\nforce = 'yes'\n", "[export] force: must be true or false, not 'yes'"),
    "not-a-list": ("[export]\nruns = [1]\n", "[export] runs: must be a text or a list of texts, not [1]"),
    "too-few": ("[export]\nworkers = 0\n", "'--workers': 0 is not in the range x>=1. (from "),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_in_a_file_is_named(case: str, run: Run, tracker: ModuleType, folder: Path) -> None:
    text, expected = WRONG[case]
    path = configure(folder, text)
    line = error_of(run("export", "--exporter", "tracker"))
    assert expected in line
    assert str(path) in line


def test_a_wrong_variable_is_named(run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEPTUNE_EXPORTER_WORKERS", "many")
    line = error_of(run("export", "--exporter", "tracker"))
    assert line.endswith("(from the variable NEPTUNE_EXPORTER_WORKERS)")


@pytest.mark.parametrize("table", ["pluto", "neptune2"])
def test_tables_of_plugins_that_are_not_installed_here_are_fine(
    table: str, run: Run, tracker: ModuleType, folder: Path
) -> None:
    configure(folder, f"[{table}]\n")
    assert run("export", "--exporter", "tracker", "--dry-run").exit_code == 0
    configure(folder, "[anything]\n")
    assert run("--no-plugins", "summary", "-d", "nowhere").stderr.startswith("error: there is no dataset")


def test_the_help_says_so(run: Run, tracker: ModuleType) -> None:
    text = " ".join(run("load", "--help").stdout.split())
    assert "NEPTUNE_EXPORTER_LOAD_LOADER, or NEPTUNE_EXPORTER_LOADER for all commands" in text


NO_TEXT = "a/\udcff"
"""How Python has bytes of a command line or a variable that are not UTF-8."""


@pytest.mark.parametrize(
    ("command", "option"),
    [("export", "-p"), ("export", "-r"), ("export", "-q"), ("summary", "-p"), ("load", "--name-prefix")],
)
def test_what_is_no_text_is_named_with_its_option(
    command: str, option: str, run: Run, tracker: ModuleType, folder: Path
) -> None:
    message = error_of(run(command, option, NO_TEXT))
    assert "is not written in UTF-8" in message and option in message


@pytest.mark.parametrize(
    "name", ["NEPTUNE_EXPORTER_EXPORT_PROJECT_IDS", "NEPTUNE_EXPORTER_WORKSPACE", "NEPTUNE_PROJECT"]
)
def test_a_variable_that_is_no_text_is_named(
    name: str, run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, NO_TEXT)
    message = error_of(run("export", "--exporter", "plain"))  # which needs a project
    assert "is not written in UTF-8" in message and name in message


def test_a_misspelled_variable_is_warned_of_once(
    run: Run, tracker: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known ones are not: of core, of any command, of any plugin, or of a plugin that is not installed."""
    names = ("TRACKER_PAGE", "LOAD_WORKERS", "FAILPOINT_SIGNAL", "WANDB_MODE", "TRACKER_PAGES", "QQ")
    for name in names:
        monkeypatch.setenv(f"NEPTUNE_EXPORTER_{name}", "7")
    why = "warning: no command and no installed plugin has the variable NEPTUNE_EXPORTER_"
    lines = run("export", "--exporter", "tracker", "-p", "acme/text").stderr.splitlines()
    of_nothing, of_tracker = (line for line in lines if line.startswith("warning"))
    assert of_nothing == f"{why}QQ"
    assert of_tracker.startswith(f"{why}TRACKER_PAGES; did you mean NEPTUNE_EXPORTER_TRACKER_PAGE")
    assert "warning" not in run("export", "--help").output
    assert "warning" not in run("--no-plugins", "summary").output
