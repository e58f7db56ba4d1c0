"""Resolves the settings of a plugin: flag, environment, project file, user file, default, in this order.

The fields of the plugin's dataclass are the only declaration; flags, variables,
TOML keys, checks and the table in the documentation are read from them.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import os
import re
import stat
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from neptune_exporter.contract.settings import METADATA_KEY, Secret, SettingInfo
from neptune_exporter.errors import UsageError

FILE_NAME = "neptune-exporter.toml"

_SCALARS = (str, int, float, bool, Path, Secret)
_TRUTH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
_EXPECTED = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
    Secret: "a text that is not empty",
}


@dataclass(frozen=True)
class SettingField:
    """One setting of one plugin, with all its names."""

    plugin: str
    name: str
    """The field of the dataclass and the key in the TOML table `[plugin]`."""
    type: type
    """One of str, int, float, bool, Path, Secret: of each item if `multiple`."""
    multiple: bool
    required: bool
    default: object
    info: SettingInfo

    @property
    def flag(self) -> str:
        return self.info.flag or f"--{self.plugin}-{self.name}".replace("_", "-")

    @property
    def variables(self) -> tuple[str, ...]:
        """Environment variables, the first that is set and not empty counts."""
        own = re.sub(r"\W", "_", f"NEPTUNE_EXPORTER_{self.plugin}_{self.name}").upper()
        return (own, *self.info.env)

    @property
    def expected(self) -> str:
        """What a value must be, for errors and the documentation."""
        if self.info.choices:
            return "one of " + ", ".join(self.info.choices)
        kind = _EXPECTED[self.type]
        low, high = self.info.minimum, self.info.maximum
        if low is not None and high is not None:
            return f"{kind} from {low:.15g} to {high:.15g}"
        if low is not None:
            return f"{kind}, at least {low:.15g}"
        return kind if high is None else f"{kind}, at most {high:.15g}"


@lru_cache
def setting_fields(plugin: str, settings: type) -> tuple[SettingField, ...]:
    """The settings that a plugin's dataclass declares. Raises TypeError if it is no dataclass, or a field is
    not of a supported type or not made with `setting`."""
    if not dataclasses.is_dataclass(settings):
        raise TypeError(f"settings {settings!r} is not a dataclass")
    hints = typing.get_type_hints(settings)
    return tuple(_field(plugin, f, hints[f.name]) for f in dataclasses.fields(settings) if f.init)


def _field(plugin: str, field: dataclasses.Field[object], hint: object) -> SettingField:
    info = field.metadata.get(METADATA_KEY)
    if not isinstance(info, SettingInfo):
        raise TypeError(f"the setting {field.name} is not made with setting()")
    if info.flag is not None and not re.fullmatch(r"--[a-z0-9][a-z0-9-]*", info.flag):
        raise TypeError(f"the setting {field.name} has the malformed flag {info.flag}")
    base, multiple = _scalar(hint)
    if base is None:
        raise TypeError(f"the setting {field.name} has the unsupported type {hint}")
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return SettingField(plugin, field.name, base, multiple, required, field.default, info)


def _scalar(hint: object) -> tuple[type | None, bool]:
    """The scalar type behind a hint (`X`, `X | None`, `tuple[X, ...]`), and whether it is many."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        rest = [a for a in arguments if a is not type(None)]
        return _scalar(rest[0]) if len(rest) == 1 else (None, False)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis and arguments[0] is str:
        return str, True
    return (hint, False) if isinstance(hint, type) and hint in _SCALARS else (None, False)


@dataclass(frozen=True)
class ConfigurationFile:
    """A `neptune-exporter.toml`: a table for each plugin."""

    path: Path
    tables: Mapping[str, Mapping[str, object]]


def read_configuration(explicit: Path | None, folder: Path) -> tuple[ConfigurationFile, ...]:
    """The files that apply, the most specific first: the project's (or the given one), the user's. Raises
    UsageError if a file is missing though it was named, unreadable, or not such a TOML file."""
    import platformdirs

    if explicit is not None and not _is_file(explicit):
        raise UsageError(f"there is no configuration file {explicit}")
    files = [path for path in (explicit or folder / FILE_NAME,) if _is_file(path)]
    own = Path(platformdirs.user_config_dir("neptune-exporter", appauthor=False)) / FILE_NAME
    try:
        if own not in files and _is_file(own):
            files.append(own)
    except UsageError as error:  # a HOME that is someone else's, as in many containers
        logging.getLogger(__name__).warning("%s: going on without it", error)
    return tuple(map(_read_file, files))


def _is_file(path: Path) -> bool:
    """Whether the file is there. Raises UsageError if that cannot be known."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UsageError(
            f"the configuration file {str(path)[:200]} cannot be read: {error.strerror}"
        ) from error


def _read_file(path: Path) -> ConfigurationFile:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise UsageError(f"{path}: cannot be read as TOML: {error}") from error
    for name, table in content.items():
        if not isinstance(table, dict):
            if isinstance(table, list) and any(isinstance(item, dict) for item in table):
                raise UsageError(f"{path}: [[{name}]] is a list of tables: write [{name}]")
            raise UsageError(f"{path}: {name} must be in a table, under [general] for example")
    return ConfigurationFile(path, content)


@dataclass(frozen=True)
class _Found:
    """A value before it is checked, and where it comes from."""

    value: object
    place: str
    folder: Path | None = None
    """Paths in a file are relative to the file's folder."""


def resolve_settings(
    plugin: str,
    settings: type,
    *,
    flags: Mapping[str, object],
    environ: Mapping[str, str] = os.environ,
    files: Sequence[ConfigurationFile] = (),
) -> object:
    """An instance of the plugin's settings.

    Args:
        settings: The plugin's dataclass.
        flags: What the command line gave, by flag: text, a tuple of texts, or a bool.
        files: The configuration files, most specific first.

    Raises:
        UsageError: a value is wrong or missing. One line, without any secret.
    """
    fields = setting_fields(plugin, settings)
    values: dict[str, object] = {}
    for field in fields:
        found = _find(field, flags, environ, files)
        if found is not None:
            values[field.name] = _checked(field, found)
        elif field.required:
            variables = " or ".join(field.variables)
            raise UsageError(f"{plugin} needs {field.flag}, or the variable {variables}: {field.info.help}")
    return settings(**values)


def _find(
    field: SettingField,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    files: Sequence[ConfigurationFile],
) -> _Found | None:
    if (value := flags.get(field.flag)) is not None:
        return _Found(from_elsewhere(field.flag, value) if field.type is Secret else value, field.flag)
    for variable in field.variables:
        if text := environ.get(variable):
            parts = tuple(p.strip() for p in text.split(",") if p.strip())
            return _Found(parts if field.multiple else text, f"the variable {variable}")
    for file in files:
        table = file.tables.get(field.plugin, {})
        if field.name in table:
            place = f"{file.path}: [{field.plugin}] {field.name}"
            return _Found(table[field.name], place, file.path.parent)
    return None


def is_reference(value: str) -> bool:
    """Whether a secret's flag names a place (`-`, `@FILE`) or nothing, instead of holding the secret."""
    return value in ("", "-") or value.startswith("@")


def from_elsewhere(flag: str, value: object) -> object:
    """A secret that is not on the command line itself: `-` is standard input, `@FILE` a file."""
    if value == "-":
        if sys.stdin.isatty():
            import getpass

            return getpass.getpass(f"{flag}: ")
        return sys.stdin.readline().rstrip("\r\n")
    if not isinstance(value, str) or not is_reference(value) or not value:
        return value
    descriptor = re.fullmatch(r"/dev/fd/(\d+)", value[1:])
    try:
        with open(int(descriptor[1]) if descriptor else value[1:], encoding="utf-8") as file:  # noqa: PTH123
            return file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{flag}: cannot read {value[1:]}: {reason}") from None


def _checked(field: SettingField, found: _Found) -> object:
    if field.multiple:
        items = found.value
        if isinstance(items, str):
            items = (items,)
        if not isinstance(items, (list, tuple)):
            raise UsageError(f"{found.place}: must be a text or a list of texts, not {items!r}")
        return tuple(_convert(field, dataclasses.replace(found, value=item)) for item in items)
    return _convert(field, found)


def _convert(field: SettingField, found: _Found) -> object:
    value = found.value
    if isinstance(value, str):
        converted = _from_text(field, value, is_typed=found.folder is not None)
    elif field.type is float and type(value) is int:
        converted = float(value)
    else:
        converted = value if type(value) is field.type else None
    if converted is None or not _is_allowed(field.info, converted):
        shown = "" if field.type is Secret else f", not {value!r}"
        raise UsageError(f"{found.place}: must be {field.expected}{shown}")
    if isinstance(converted, Path):
        converted = converted.expanduser()
        return found.folder / converted if found.folder is not None else converted
    return converted


def _from_text(field: SettingField, text: str, *, is_typed: bool) -> object | None:
    """The value that a text stands for; None if for none. TOML has types: its texts are only texts."""
    if field.type is str:
        return text
    if field.type in (Secret, Path):
        return field.type(text) if text else None
    if is_typed:
        return None
    if field.type is bool:
        return _TRUTH.get(text.strip().lower())
    parse: Callable[[str], object] = int if field.type is int else float
    try:
        return parse(text)
    except ValueError:
        return None


def _is_allowed(info: SettingInfo, value: object) -> bool:
    if info.choices and value not in info.choices:
        return False
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if math.isnan(value):
            return False
        return not (
            (info.minimum is not None and value < info.minimum)
            or (info.maximum is not None and value > info.maximum)
        )
    return True
