"""One dataclass gives names, checks and values; whatever is wrong is told in one line."""

from __future__ import annotations

import io
import pickle
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.configuration import (
    ConfigurationFile,
    read_configuration,
    resolve_settings,
    setting_fields,
)
from neptune_exporter.contract import Secret, UsageError, setting
from neptune_exporter.redaction import redact


@dataclass(frozen=True)
class Settings:
    token: Secret | None = setting(default=None, help="The token.", flag="--api-token", env=("ACME_TOKEN",))
    count: int = setting(default=3, help="How many.", minimum=1, maximum=9)
    pace: float = setting(default=0.5, help="How fast.", minimum=0)
    mode: str = setting(default="slow", help="Which way.", choices=("slow", "fast"))
    quick: bool = setting(default=False, help="Quick.")
    folder: Path | None = setting(default=None, help="Where.")
    names: tuple[str, ...] = setting(default=(), help="Whose.")

    def __post_init__(self) -> None:
        if self.quick and self.mode == "slow":
            raise UsageError("quick and slow exclude each other")


@dataclass(frozen=True)
class Required:
    project_name: str = setting(help="The project.", env=("ACME_PROJECT",))


def resolve(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    files: tuple[ConfigurationFile, ...] = (),
    settings: type = Settings,
) -> Any:
    return resolve_settings("acme", settings, flags=flags or {}, environ=environ or {}, files=files)


def file(path: str, **values: object) -> ConfigurationFile:
    return ConfigurationFile(Path(path), {"acme": values})


def test_every_setting_has_its_names() -> None:
    by_name = {f.name: f for f in setting_fields("acme", Settings)}
    assert by_name["count"].flag == "--acme-count"
    assert by_name["count"].variables == ("NEPTUNE_EXPORTER_ACME_COUNT",)
    assert by_name["token"].flag == "--api-token"
    assert by_name["token"].variables == ("NEPTUNE_EXPORTER_ACME_TOKEN", "ACME_TOKEN")
    assert by_name["names"].multiple
    (required,) = setting_fields("acme-two", Required)
    assert required.flag == "--acme-two-project-name"
    assert required.variables[0] == "NEPTUNE_EXPORTER_ACME_TWO_PROJECT_NAME"
    assert required.required


def test_flag_then_variable_then_project_file_then_user_file_then_default() -> None:
    project, user = file("/p/x.toml", count=5), file("/u/x.toml", count=4, mode="fast")
    environ = {"NEPTUNE_EXPORTER_ACME_COUNT": "6"}
    assert resolve().count == 3
    assert resolve(files=(user,)).count == 4
    assert resolve(files=(project, user)).count == 5
    assert resolve(files=(project, user)).mode == "fast"
    assert resolve(environ=environ, files=(project, user)).count == 6
    assert resolve({"--acme-count": "7"}, environ, (project, user)).count == 7


def test_our_variable_counts_before_the_vendors_and_an_empty_one_not_at_all() -> None:
    both = {"NEPTUNE_EXPORTER_ACME_TOKEN": "ours-1234", "ACME_TOKEN": "theirs-1234"}
    assert resolve(environ=both).token == Secret("ours-1234")
    both["NEPTUNE_EXPORTER_ACME_TOKEN"] = ""
    assert resolve(environ=both).token == Secret("theirs-1234")
    assert resolve(environ={"ACME_TOKEN": ""}).token is None


def test_texts_become_values_of_the_declared_type() -> None:
    found = resolve(
        {"--acme-pace": "2", "--acme-quick": True, "--acme-names": ("a,b", "c"), "--acme-mode": "fast"},
        {"NEPTUNE_EXPORTER_ACME_FOLDER": "~/x", "NEPTUNE_EXPORTER_ACME_COUNT": "9"},
    )
    assert (found.pace, found.quick, found.mode, found.count) == (2.0, True, "fast", 9)
    assert found.names == ("a,b", "c")
    assert found.folder == Path.home() / "x"
    from_environment = resolve(environ={"NEPTUNE_EXPORTER_ACME_NAMES": "a, b,,c"})
    assert from_environment.names == ("a", "b", "c")


@pytest.mark.parametrize("word", ["1", "true", "YES", "On"])
def test_words_for_true(word: str) -> None:
    environ = {"NEPTUNE_EXPORTER_ACME_QUICK": word, "NEPTUNE_EXPORTER_ACME_MODE": "fast"}
    assert resolve(environ=environ).quick is True


def test_a_path_in_a_file_is_relative_to_that_file() -> None:
    assert resolve(files=(file("/p/x.toml", folder="data"),)).folder == Path("/p/data")
    assert resolve(files=(file("/p/x.toml", folder="/data"),)).folder == Path("/data")


WRONG_TEXTS = [
    ("--acme-count", "many", "--acme-count: must be a whole number from 1 to 9, not 'many'"),
    ("--acme-count", "0", "--acme-count: must be a whole number from 1 to 9, not '0'"),
    ("--acme-count", "2.5", "--acme-count: must be a whole number from 1 to 9, not '2.5'"),
    ("--acme-pace", "-1", "--acme-pace: must be a number, at least 0, not '-1'"),
    ("--acme-pace", "nan", "--acme-pace: must be a number, at least 0, not 'nan'"),
    ("--acme-mode", "warp", "--acme-mode: must be one of slow, fast, not 'warp'"),
    ("--acme-folder", "", "--acme-folder: must be a path, not ''"),
    ("--api-token", "", "--api-token: must be a text that is not empty"),
]


@pytest.mark.parametrize(("flag", "text", "message"), WRONG_TEXTS)
def test_a_wrong_text_is_refused_with_what_would_be_right(flag: str, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        resolve({flag: text})


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(UsageError, match=r"^the variable NEPTUNE_EXPORTER_ACME_QUICK: must be true or false"):
        resolve(environ={"NEPTUNE_EXPORTER_ACME_QUICK": "perhaps"})


WRONG_VALUES = [
    ("count", "3", "a whole number from 1 to 9, not '3'"),
    ("count", True, "a whole number from 1 to 9, not True"),
    ("count", 10, "a whole number from 1 to 9, not 10"),
    ("pace", "1", "a number, at least 0, not '1'"),
    ("quick", "true", "true or false, not 'true'"),
    ("quick", 1, "true or false, not 1"),
    ("mode", 1, "one of slow, fast, not 1"),
    ("folder", 1, "a path, not 1"),
    ("names", [1], "text, not 1"),
    ("names", 1, "a text or a list of texts, not 1"),
]


@pytest.mark.parametrize(("key", "value", "expected"), WRONG_VALUES)
def test_a_wrong_value_in_a_file_names_file_and_key(key: str, value: object, expected: str) -> None:
    place = re.escape(f"{Path('/p/x.toml')}: [acme] {key}: must be {expected}")
    with pytest.raises(UsageError, match=f"^{place}$"):
        resolve(files=(file("/p/x.toml", **{key: value}),))


def test_one_text_in_a_file_is_a_list_of_one() -> None:
    assert resolve(files=(file("/p/x.toml", names="a"),)) == resolve(files=(file("/p/x.toml", names=["a"]),))


def test_only_the_table_of_the_selected_plugin_is_looked_at() -> None:
    other = ConfigurationFile(Path("/p/x.toml"), {"other": {"anything": object()}, "acme": {"count": 2}})
    assert resolve(files=(other,)).count == 2


def test_a_missing_setting_says_how_to_give_it() -> None:
    message = (
        "acme needs --acme-project-name, or the variable "
        "NEPTUNE_EXPORTER_ACME_PROJECT_NAME or ACME_PROJECT: The project."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        resolve(settings=Required)


def test_the_dataclass_may_check_combinations() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        resolve({"--acme-quick": True})


def test_a_secret_is_shown_nowhere_and_taken_out_of_every_text() -> None:
    found = resolve({"--api-token": "s3cr/et +tok"})
    assert found.token.reveal() == "s3cr/et +tok"
    assert "s3cr" not in f"{found!r} {found} {found.token:>20} {[found.token]}"
    assert redact("GET /?key=s3cr%2Fet%20%2Btok (s3cr/et +tok) s3cr%2Fet+%2Btok") == "GET /?key=*** (***) ***"


def test_a_secret_that_a_plugin_found_by_itself_is_taken_out_too() -> None:
    stored = Secret("kept-in-a-keyring")
    assert redact("Bearer kept-in-a-keyring") == "Bearer ***"
    # Units of work are pickled for other processes, which know no secret yet.
    code = (
        "import pickle, sys; from neptune_exporter.redaction import redact\n"
        "secret = pickle.load(sys.stdin.buffer)\n"
        "print(redact('Bearer ' + secret.reveal()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(stored), capture_output=True, timeout=60, check=True
    )
    assert result.stdout.strip() == b"Bearer ***"


def test_a_secret_of_the_wrong_type_in_a_file_is_not_shown() -> None:
    with pytest.raises(UsageError) as caught:
        resolve(files=(file("/p/x.toml", token=987654321),))
    assert "987654321" not in str(caught.value)


def test_a_secret_comes_from_a_file_or_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    assert resolve({"--api-token": f"@{tmp_path / 'token'}"}).token.reveal() == "from-a-file"
    monkeypatch.setattr(sys, "stdin", io.StringIO("from-standard-input\nnext line"))
    assert resolve({"--api-token": "-"}).token.reveal() == "from-standard-input"
    with pytest.raises(UsageError, match=r"--api-token: cannot read .*nowhere"):
        resolve({"--api-token": f"@{tmp_path / 'nowhere'}"})
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(UsageError, match="--api-token: must be a text that is not empty"):
        resolve({"--api-token": f"@{tmp_path / 'empty'}"})


def test_only_secrets_are_read_from_elsewhere(tmp_path: Path) -> None:
    assert resolve({"--acme-names": ("@file", "-")}).names == ("@file", "-")


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import platformdirs

    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: str(folder))
    return folder


def test_the_given_file_stands_for_the_projects_and_the_users_comes_after(
    tmp_path: Path, user_folder: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    assert read_configuration(None, project) == ()
    for folder, count in ((user_folder, 1), (project, 2)):
        (folder / "neptune-exporter.toml").write_text(f"[acme]\ncount = {count}\n")
    given = tmp_path / "given.toml"
    given.write_text("[acme]\ncount = 3\n")
    assert [f.tables["acme"]["count"] for f in read_configuration(None, project)] == [2, 1]
    assert [f.tables["acme"]["count"] for f in read_configuration(given, project)] == [3, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[acme\n", "cannot be read as TOML: "),
        (b"\xff\xfe", "cannot be read as TOML: "),
        (b"count = 3\n", "count must be in a table, under"),
        (b"[[acme]]\ncount = 3\n", r"\[\[acme\]\] is a list of tables: write \[acme\]"),
    ],
)
def test_a_file_that_is_none_is_refused(
    content: bytes, message: str, tmp_path: Path, user_folder: Path
) -> None:
    given = tmp_path / "given.toml"
    given.write_bytes(content)
    with pytest.raises(UsageError, match=f"{re.escape(str(given))}: {message}"):
        read_configuration(given, tmp_path)


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no configuration file .*nowhere\.toml"):
        read_configuration(tmp_path / "nowhere.toml", tmp_path)
