"""Help, names of options, and what happens to wrong ones: one line on stderr, exit code 2."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from click.testing import Result

from neptune_exporter.cli.app import _COMMANDS, app
from neptune_exporter.plugins import RESERVED_FLAGS

Run = Callable[..., Result]


def refused(result: Result) -> str:
    """The one line that a wrong command line gets."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    line = result.stderr.removesuffix("\n")
    assert "\n" not in line
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def test_help_lists_every_command(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name in ("export", "export-models", "projects", "summary", "load", "verify", "plugins", "completion"):
        assert re.search(rf"^  {name} ", result.stdout, re.MULTILINE)


def test_help_imports_nothing_heavy(folder: Path) -> None:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; sys.argv = ['neptune-exporter', '--help']\n"
        "from neptune_exporter.cli import main\n"
        "assert main() == 0\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    # Without site: an SDK may have itself imported at every start of Python.
    result = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=folder
    )
    imported = {name.partition(".")[0] for name in result.stderr.split()}
    assert "click" in imported
    assert not imported & {
        "pyarrow",
        "rich",
        "platformdirs",
        "numpy",
        "starlette",
        "uvicorn",
    }
    ours = {name.split(".")[1] for name in result.stderr.split() if name.startswith("neptune_exporter.")}
    assert "plugins" in ours  # they may add commands
    assert not ours & {"dataset", "jobs", "reading", "schema", "sinks", "toolkit"}


def test_version(run: Run) -> None:
    assert re.fullmatch(r"\S+ \d+\.\d+\.\d+\S*\n", run("--version").stdout)


def test_without_arguments_the_help_is_shown_as_a_wrong_usage(run: Run) -> None:
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Commands:" in result.stderr


OPTIONS = {
    "export": """-p --project-ids --exporter -d --data-path -f --files-path -r --runs -q --runs-query
        -a --attributes -c --classes --exclude --include-archived-runs --include-metric-previews
        --modified-since --modified-until --force -j --workers --dry-run --json --workspace
        --project-pattern --project-exclude-pattern --error-report-file --api-token
        -v --verbose --no-progress --log-file --config""",
    "export-models": """-p --project-ids --exporter -d -f --models --models-query -a -c --exclude
        --include-archived-models --dry-run --json -v --no-progress""",
    "projects": "--exporter --workspace --project-pattern --project-exclude-pattern --json --api-token",
    "summary": "-d --data-path -f --files-path --reporter --json -p -r -o --output",
    "load": """--loader -d -f -p -r --name-prefix --step-multiplier -j --workers --dry-run --no-verify
        --loss-report --json --tracker-api-key --tracker-rehearse -v --no-progress --log-file""",
    "verify": "-d -f -p -r --loader --full --json --tracker-api-key",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_options_that_users_know(command: str, run: Run, tracker: ModuleType) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    words = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", result.stdout))
    assert set(OPTIONS[command].split()) <= words


def test_options_of_plugins_stand_in_groups(run: Run, tracker: ModuleType) -> None:
    text = run("load", "--help").stdout
    own, _, rest = text.partition(
        "\nOptions of the tracker loader, also as variables NEPTUNE_EXPORTER_TRACKER_*:\n"
    )
    group, _, general = rest.partition("\nGeneral options:\n")
    assert "--loader" in own
    assert "--tracker-api-key SECRET" in group
    assert "--tracker-rehearse / --no-tracker-rehearse" in group
    assert "env: TRACKER_KEY" in " ".join(group.split())
    assert "--log-file" in general
    assert "--help" in general
    # Two plugins that share a flag share one option.
    text = run("export", "--help").stdout
    assert text.count("--api-token") == 1
    shared = text.partition("\nOptions of the plain and tracker exporters:\n")[2].partition("\n\n")[0]
    assert "--api-token SECRET" in shared


def test_help_with_a_plugin_shows_its_options_and_names_the_others(run: Run, tracker: ModuleType) -> None:
    for selection in (["--exporter=plain"], ["--exporter", "plain"]):
        text = run("export", "--help", *selection).stdout
        assert "--plain-page" in text and "--api-token" in text and "--tracker-page" not in text
        assert "Other exporters have options of their own: tracker." in " ".join(text.split())
    text = run("export", "--exporter=nobody", "--help").stdout
    assert "--plain-page" in text and "--tracker-page" in text and "Other exporters" not in text


def test_no_plugin_can_take_an_option_of_the_commands(run: Run) -> None:
    with click.Context(app, obj=None) as ctx:
        flags = {"--no-plugins", "--version"}
        for name in _COMMANDS:
            command = app.get_command(ctx, name)
            assert command is not None
            own = [*command.params, *(p for c in getattr(command, "commands", {}).values() for p in c.params)]
            flags |= {o for p in own if isinstance(p, click.Option) for o in p.opts if o.startswith("--")}
    assert flags - {"--markdown"} <= RESERVED_FLAGS


def test_without_plugins_there_are_only_the_built_in_ones(run: Run, tracker: ModuleType) -> None:
    for arguments in (
        ["--no-plugins", "plugins", "list", "--json"],
        ["plugins", "list", "--json", "--no-plugins"],
    ):
        listed = json.loads(run(*arguments).stdout)["plugins"]
        assert [plugin["name"] for plugin in listed] == ["builtin"]
    assert refused(run("--no-plugins", "export", "--exporter", "tracker")).startswith("there is no exporter")


WRONG: dict[str, tuple[list[str], str]] = {
    "command": (["exprot"], "there is no command exprot; did you mean export"),
    "command-like-none": (["qqq"], "there is no command qqq; there are export, export-models, "),
    "option": (["export", "--exporter", "tracker", "--fore"], "No such option"),
    "value": (["export", "--exporter"], "Option '--exporter' requires an argument."),
    "argument": (["export", "tracker"], "Got unexpected extra argument (tracker)"),
    "exporter-missing": (["export"], "--exporter is missing; available: plain, tracker"),
    "exporter": (
        ["export", "--exporter", "neptune9"],
        "there is no exporter neptune9; available: plain, tracker",
    ),
    "loader-missing": (["load"], "--loader is missing; available: tracker"),
    "loader": (["load", "--loader", "plan"], "there is no loader plan; available: tracker"),
    "reporter": (["summary", "--reporter", "xml"], "there is no reporter xml; available: html, json, text"),
    "runs": (["export", "--exporter", "tracker", "-r", "a("], "-r: 'a(' is not a regular expression: "),
    "runs-file": (
        ["export", "--exporter", "tracker", "-r", "@no.txt"],
        "-r: cannot read run ids from no.txt: ",
    ),
    "attributes": (["export", "--exporter", "tracker", "-a", "["], "-a: '[' is not a regular expression: "),
    "class": (
        ["export", "--exporter", "tracker", "-c", "metrics,files,metric"],
        "-c: there is no class metric; did you mean metrics?",
    ),
    "empty-class": (
        ["export", "--exporter", "tracker", "-c", ""],
        "-c: names no class; there are parameters, ",
    ),
    "exclude": (["export", "--exporter", "tracker", "--exclude", "x"], "--exclude: there is no class x; "),
    "nothing-left": (
        ["export", "--exporter", "tracker", "-c", "files", "--exclude", "files"],
        "-c and --exclude together leave no attribute class",
    ),
    "since": (
        ["export", "--exporter", "tracker", "--modified-since", "last week"],
        "--modified-since: 'last week' is not a time; "
        "give ISO 8601 (2024-05-01T12:00:00Z) or an age (7d, 12h, 30m)",
    ),
    "until": (
        ["export", "--exporter", "tracker", "--modified-until", "7 d"],
        "--modified-until: '7 d' is not a time",
    ),
    "period": (
        ["export", "--exporter", "tracker", "--modified-since", "1d", "--modified-until", "2d"],
        "--modified-since 1d is not before --modified-until 2d",
    ),
    "age": (
        ["export", "--exporter", "tracker", "--modified-since", "9" * 15 + "w"],
        "--modified-since: " + "9" * 15 + "w is too long ago",
    ),
    "workers": (["export", "--exporter", "tracker", "-j", "0"], "Invalid value for '-j' / '--workers': 0"),
    "workers-in-words": (
        ["export", "--exporter", "tracker", "-j", "two"],
        "Invalid value for '-j' / '--workers': 'two' is not a valid whole number.",
    ),
    "projects-twice": (
        ["export", "--exporter", "tracker", "-p", "a/b", "--workspace", "a"],
        "give either -p or --workspace and the project patterns, not both",
    ),
    "project-pattern": (
        ["export", "--exporter", "tracker", "--project-pattern", "("],
        "--project-pattern: '(' is not a regular expression",
    ),
    "needs-project": (
        ["export", "--exporter", "plain"],
        "the exporter plain needs a project: -p workspace/project, or NEPTUNE_PROJECT",
    ),
    "archived": (
        ["export", "--exporter", "plain", "-p", "a/b", "--include-archived-runs"],
        "the exporter plain does not offer --include-archived-runs",
    ),
    "previews": (
        ["export", "--exporter", "plain", "-p", "a/b", "--include-metric-previews"],
        "the exporter plain does not offer --include-metric-previews",
    ),
    "query": (
        ["export", "--exporter", "plain", "-p", "a/b", "-q", "x"],
        "the exporter plain does not offer --runs-query",
    ),
    "modified": (
        ["export", "--exporter", "plain", "-p", "a/b", "--modified-since", "1d"],
        "the exporter plain does not offer --modified-since and --modified-until",
    ),
    "discovery": (
        ["export", "--exporter", "plain", "--workspace", "a"],
        "the exporter plain does not offer --workspace and project patterns",
    ),
    "no-class": (
        ["export", "--exporter", "plain", "-p", "a/b", "-c", "metrics"],
        "-c: this exporter has no metrics; it has parameters",
    ),
    "models": (
        ["export-models", "--exporter", "plain"],
        "the exporter plain does not offer a model registry",
    ),
    "list-projects": (["projects", "--exporter", "plain"], "the exporter plain cannot discover projects"),
    "setting": (
        ["export", "--exporter", "tracker", "--tracker-page", "0"],
        "--tracker-page: must be a whole number, at least 1, not '0'",
    ),
    "setting-of-another": (
        ["export", "--exporter", "plain", "-p", "a/b", "--tracker-page", "5"],
        "--tracker-page is not an option of the exporter plain",
    ),
    "dataset": (["load", "--loader", "tracker"], "there is no dataset at exports"),
    "dataset-of-summary": (["summary"], "there is no dataset at exports"),
    "multiplier": (
        ["load", "--loader", "tracker", "--step-multiplier", "-1"],
        "Invalid value for '--step-multiplier': -1 is not a decimal number above 0",
    ),
    "multiplier-infinite": (
        ["load", "--loader", "tracker", "--step-multiplier", "inf"],
        "Invalid value for '--step-multiplier': inf is not a decimal number above 0",
    ),
    "address": (
        ["export", "--exporter", "plain", "-p", "a/b", "-d", "s3:/bucket/x"],
        "Invalid value for '-d' / '--data-path': s3:/bucket/x is no folder and no address",
    ),
    "full": (["verify", "--full"], "--full compares with a tracker: it needs --loader"),
    "loader-option": (
        ["verify", "--tracker-rehearse"],
        "--tracker-rehearse is an option of a loader: it needs --loader",
    ),
    "config": (
        ["load", "--loader", "tracker", "--config", "no.toml"],
        "there is no configuration file no.toml",
    ),
    "log-file": (["summary", "--log-file", "taken/x.log"], "--log-file: taken"),
    "shell": (["completion", "tcsh"], "Invalid value for '{bash|zsh|fish}': 'tcsh' is not one of"),
    "settings-of": (["plugins", "settings", "nobody"], "nobody has no settings: only plain, tracker"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_or_missing_value_gets_one_line(
    case: str, run: Run, tracker: ModuleType, folder: Path
) -> None:
    arguments, expected = WRONG[case]
    (folder / "taken").write_text("a file where a folder should be")
    assert refused(run(*arguments)).startswith(expected)
    assert not (folder / "exports").exists()


def test_a_broken_plugin_is_fatal_only_when_it_is_selected(
    run: Run, tracker: ModuleType, distributions: Any
) -> None:
    distributions.add("acme-broken", "import nothing_of_that_name", version="3.0", name="broken")
    assert run("export", "--help").exit_code == 0
    message = refused(run("export", "--exporter", "broken", "-p", "a/b"))
    assert message.startswith(
        "the exporter broken cannot be used: acme-broken 3.0 is broken: it needs the module"
    )


def test_an_option_of_a_plugin_that_is_not_there_is_told_as_the_plugin(
    run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ("--pluto-api-key", "x")
    for loader in (["--loader", "pluto"], ["--loader=pluto"]):
        assert refused(run("load", *key, *loader)).startswith(
            ("the loader pluto is ", "there is no loader pluto")
        )
    message = refused(run("export", "--exporter", "neptune9", "--neptune9-key", "x"))
    assert message.startswith("there is no exporter neptune9; available: ")
    assert refused(run("load", *key, "--loader")).startswith("No such option")
    assert refused(run("summary", "--reporter", "text", *key)).startswith("No such option")
    monkeypatch.setattr("neptune_exporter.plugins._installed", list)
    message = refused(run("load", "--loader", "pluto", *key))
    assert "uv sync --inexact --extra pluto, or pip install ./plugins/pluto_loader" in message
    assert "uv sync --inexact --extra all" in refused(run("load"))


@pytest.mark.skipif(os.name == "nt", reason="there a folder that is in use cannot be deleted")
def test_a_working_folder_that_was_deleted_is_told(run: Run, tracker: ModuleType, folder: Path) -> None:
    folder.rmdir()
    for command in (["export", "--exporter", "tracker"], ["load", "--loader", "tracker"], ["summary"]):
        assert refused(run(*command)) == "the working folder was deleted: change into one that is there"


def test_only_settings_of_the_selected_plugin_are_checked(
    run: Run, tracker: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEPTUNE_EXPORTER_PLAIN_PAGE", "many")
    (folder / "neptune-exporter.toml").write_text("[plain]\npage = 'many'\n[tracker]\npage = 7\n")
    result = run("export", "--exporter", "tracker", "--dry-run")
    assert result.exit_code == 0
    assert tracker.made[-1].page == 7
    message = refused(run("export", "--exporter", "plain", "-p", "a/b"))
    assert (
        message == "the variable NEPTUNE_EXPORTER_PLAIN_PAGE: must be a whole number, at least 1, not 'many'"
    )


def test_a_table_that_source_and_sink_share(run: Run, tracker: ModuleType, folder: Path) -> None:
    (folder / "neptune-exporter.toml").write_text("[tracker]\npage = 7\nrehearse = true\n")
    assert run("export", "--exporter", "tracker", "--dry-run").exit_code == 0
    (folder / "neptune-exporter.toml").write_text("[tracker]\npaeg = 7\n")
    message = refused(run("export", "--exporter", "tracker"))
    assert re.fullmatch(
        r".*neptune-exporter\.toml: \[tracker\] has no setting paeg; did you mean page\?", message
    )


def test_flags_can_switch_off_what_a_variable_switched_on(
    run: Run, tracker: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("export", "--exporter", "tracker").exit_code == 0
    monkeypatch.setenv("NEPTUNE_EXPORTER_TRACKER_REHEARSE", "yes")
    assert run("load", "--loader", "tracker").exit_code == 0
    assert tracker.made[-1][0].rehearse is True
    assert run("load", "--loader", "tracker", "--no-tracker-rehearse").exit_code == 0
    assert tracker.made[-1][0].rehearse is False


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, run: Run) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert f"_NEPTUNE_EXPORTER_COMPLETE={shell}_complete" in result.stdout


def test_names_of_plugins_are_completed(
    run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.shell_completion import ShellComplete

    shell = ShellComplete(app, {}, "neptune-exporter", "_NEPTUNE_EXPORTER_COMPLETE")
    assert [i.value for i in shell.get_completions(["export", "--exporter"], "t")] == ["tracker"]
    assert "--tracker-rehearse" in [i.value for i in shell.get_completions(["load"], "--tracker")]


@pytest.mark.skipif(os.name == "nt", reason="needs a named pipe and signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_command_as_interrupted(folder: Path, number: signal.Signals) -> None:
    pipe = folder / "ids"
    os.mkfifo(pipe)  # the command waits for ids until somebody writes there
    code = "import sys; from neptune_exporter.cli import main; print('ready', flush=True); sys.exit(main())"
    command = [sys.executable, "-c", code, "summary", "-r", f"@{pipe}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            with pipe.open("w"):  # opens once the command reads
                process.send_signal(number)
            # The pipe is closed before: a signal that comes just before a read does not end it.
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert errors.strip() == "interrupted; run the same command again to go on"
