"""Finds plugins one by one, so that a broken one breaks nothing but itself.

A plugin is an entry point of the group `neptune_exporter` whose value is a module
with hook implementations. It is loaded, checked and listed on its own; what is wrong
with it is kept as one line and raised only when someone selects it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import pluggy

from neptune_exporter import hookspecs
from neptune_exporter.configuration import setting_fields
from neptune_exporter.contract.specs import API_VERSION, CommandSpec, ReporterSpec, SinkSpec, SourceSpec
from neptune_exporter.errors import UsageError
from neptune_exporter.suggestions import did_you_mean, how_to_add

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

DISABLE_VARIABLE = "NEPTUNE_EXPORTER_DISABLE_PLUGINS"
"""Names of plugins or distributions, separated by commas, that are not even imported."""

FOLDERS = {
    "neptune2": "neptune2",
    "neptune3": "neptune3",
    "offline": "offline",
    "pluto": "pluto_loader",
    "mlflow": "mlflow_loader",
    "wandb": "wandb_loader",
    "explorer": "explorer",
}
"""Plugins of this repository, which are extras of the distribution `neptune-exporter`: the folder of each."""

_EXTRA_OF_COMMAND = {"view": "explorer"}
"""Commands that plugins of this repository add."""

RESERVED_NAMES = frozenset(
    {"general", "export", "export-models", "projects", "summary", "load", "verify", "plugins", "completion"}
)
"""Tables of the configuration file that are not of plugins."""

RESERVED_FLAGS = frozenset(
    {
        *("--help", "--version", "--verbose", "--no-progress", "--log-file", "--config", "--no-plugins"),
        *("--exporter", "--loader", "--reporter", "--project-ids", "--data-path", "--files-path", "--runs"),
        *("--models", "--runs-query", "--models-query", "--attributes", "--classes", "--exclude"),
        *("--include-archived-runs", "--include-archived-models", "--include-metric-previews"),
        *("--modified-since", "--modified-until", "--force", "--workers", "--executor"),
        *("--all", "--dry-run", "--json", "--workspace", "--project-pattern", "--project-exclude-pattern"),
        *("--error-report-file", "--name-prefix", "--step-multiplier", "--no-verify", "--loss-report"),
        *("--full", "--output", "--record", "--accept", "--write-accepted", "--storage-option"),
    }
)
"""Options of the commands themselves: a setting of a plugin cannot have one of them for its flag."""

Spec: TypeAlias = "SourceSpec | SinkSpec | ReporterSpec | CommandSpec"
Kind: TypeAlias = Literal["exporter", "loader", "reporter", "command"]
KINDS: tuple[Kind, ...] = ("exporter", "loader", "reporter", "command")
_SpecT = TypeVar("_SpecT", SourceSpec, SinkSpec, ReporterSpec, CommandSpec)

_HOOKS: Mapping[str, tuple[Kind, type]] = {
    "neptune_exporter_sources": ("exporter", SourceSpec),
    "neptune_exporter_sinks": ("loader", SinkSpec),
    "neptune_exporter_reporters": ("reporter", ReporterSpec),
    "neptune_exporter_commands": ("command", CommandSpec),
}
TYPES: Mapping[Kind, Any] = dict(_HOOKS.values())
_KIND_OF: Mapping[type, Kind] = {spec_type: kind for kind, spec_type in _HOOKS.values()}


def kind_of(spec: Spec) -> Kind:
    """What sort of thing a spec describes, by the word that people use for it."""
    return _KIND_OF[type(spec)]


@dataclass(frozen=True)
class Plugin:
    """One entry point and what became of it."""

    name: str
    """The name of the entry point."""
    distribution: str
    version: str
    entry_point: str
    """Where its hooks are: a module."""
    specs: tuple[Spec, ...] = ()
    """What it offers; of a broken one, as far as that was to be learned."""
    error: str | None = None
    """Why it cannot be used, in one line."""
    disabled: bool = False

    @property
    def status(self) -> str:
        return "disabled" if self.disabled else "broken" if self.error else "ok"

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class PluginRegistry:
    """All plugins of this installation."""

    plugins: tuple[Plugin, ...]
    builtin_only: bool = False
    """Others were not even looked for."""
    _by_name: dict[tuple[Kind, str], list[Plugin]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for plugin in self.plugins:
            for spec in plugin.specs:
                if plugin.error is None:
                    self._by_name.setdefault((kind_of(spec), spec.name), []).append(plugin)

    @classmethod
    def discover(cls, *, builtin_only: bool = False) -> PluginRegistry:
        """Load every plugin, each on its own. Never raises because of one."""
        plugins = _builtin() if builtin_only else [*_builtin(), *_installed()]
        return cls(tuple(plugins), builtin_only)

    def select(self, spec_type: type[_SpecT], name: str | None) -> _SpecT:
        """The exporter, loader, reporter or command of this name. Raises UsageError if no name was given, it
        does not exist, it is broken, or two plugins have it. The message says which ones exist."""
        kind = _KIND_OF[spec_type]
        if name is None:
            raise UsageError(f"--{kind} is missing; available: {self.available(kind)}")
        found = self._by_name.get((kind, name), [])
        if len(found) == 1:
            spec = _find(found[0], (kind, name))
            assert isinstance(spec, spec_type)
            return spec
        raise UsageError(self._why_not(kind, name, found))

    def specs(self, kind: Kind) -> list[Spec]:
        """Everything of a kind that can be selected, by name."""
        usable = [key for key, plugins in self._by_name.items() if key[0] == kind and len(plugins) == 1]
        return [_find(self._by_name[key][0], key) for key in sorted(usable)]

    def available(self, kind: Kind) -> str:
        """The names of a kind, for messages; if there are no plugins, what adds some."""
        names = self._names(kind)
        return names if self.builtin_only or self.specs(kind) else f"{names}; {self.adding_all()}"

    def adding_all(self) -> str:
        """What adds all plugins of this repository."""
        return "leave out --no-plugins" if self.builtin_only else _install("all")

    def _names(self, kind: Kind) -> str:
        names = ", ".join(spec.name for spec in self.specs(kind))
        return names or ("none with --no-plugins" if self.builtin_only else "none")

    def conflicts(self) -> dict[tuple[Kind, str], list[Plugin]]:
        """What several plugins provide under one name, so that none of it can be selected."""
        return {key: plugins for key, plugins in self._by_name.items() if len(plugins) > 1}

    def why_no_command(self, name: str) -> str | None:
        """Why the command of a plugin cannot be called; None if no plugin is known to have it."""
        found = self._by_name.get(("command", name), [])
        offered = {spec.name for p in self.plugins for spec in p.specs if kind_of(spec) == "command"}
        known = name in offered or (name in _EXTRA_OF_COMMAND and not self.builtin_only)
        return self._why_not("command", name, found) if known and len(found) != 1 else None

    def _why_not(self, kind: Kind, name: str, found: list[Plugin]) -> str:
        """Why nothing of this name can be selected, and what would help."""
        if found:
            origins = " and ".join(p.origin for p in found)
            return (
                f"{origins} both provide the {kind} {name}: uninstall one, or name it in {DISABLE_VARIABLE}"
            )
        for plugin in self.plugins:
            offered = {(kind_of(s), s.name) for s in plugin.specs}
            if (kind, name) in offered or (plugin.name == name and not plugin.specs):
                if plugin.disabled:
                    return f"the {kind} {name} is disabled by {DISABLE_VARIABLE}"
                if plugin.error:
                    return f"the {kind} {name} cannot be used: {plugin.origin} is broken: {plugin.error}"
        return self._not_there(kind, name)

    def _not_there(self, kind: Kind, name: str) -> str:
        """What to say of a name that no plugin has: what adds it, or what may have been meant."""
        ours = set() if self.builtin_only else _of_ours(kind)
        others = f"; available: {self._names(kind)}" if kind != "command" or self.specs(kind) else ""
        if name in ours:
            add = _install(_EXTRA_OF_COMMAND.get(name, name))
            return f"the {kind} {name} is not installed{others}; {add}"
        near = did_you_mean(name, sorted(ours.union(spec.name for spec in self.specs(kind))))
        return f"there is no {kind} {name}{others}{near}"

    def why_no_option(self, flag: str) -> str | None:
        """Why a command does not know this option; None if it is not of a plugin that could be added."""
        for name in FOLDERS:
            if flag.startswith(f"--{name}-") and name not in self.names and not self.builtin_only:
                return f"{flag} is an option of the plugin {name}, which is not installed; {_install(name)}"
        return None

    @property
    def names(self) -> list[str]:
        """Names of plugins and of what they provide: the allowed tables of a configuration file."""
        provided = {spec.name for plugin in self.plugins for spec in plugin.specs}
        return sorted(provided | {plugin.name for plugin in self.plugins})

    def settings_of(self, name: str) -> frozenset[str] | None:
        """The settings of everything of that name, as an exporter and a loader may share a table.

        None if they cannot be known: there is nothing of that name, or it is broken.
        """
        specs = [s for p in self.plugins if not p.error for s in p.specs if s.name == name]
        if not specs:
            return None
        return frozenset(field.name for spec in specs for field in setting_fields(name, spec.settings))

    def may_have_table(self, name: str) -> bool:
        """Whether a plugin of this name may exist: broken, not installed here, or not looked for."""
        return self.builtin_only or name in FOLDERS or name in self.names


def _install(extra: str) -> str:
    if extra == "all":
        folders = " ".join(f"./plugins/{folder}" for folder in FOLDERS.values())
        return how_to_add("all", folders, "all plugins")
    return how_to_add(extra, f"./plugins/{FOLDERS[extra]}")


def _of_ours(kind: Kind) -> set[str]:
    """The exporters, loaders or commands that plugins of this repository have, installed or not."""
    if kind == "command":
        return set(_EXTRA_OF_COMMAND)
    others = set(FOLDERS) - set(_EXTRA_OF_COMMAND.values())
    loaders = {name for name in others if FOLDERS[name].endswith("_loader")}
    return {"loader": loaders, "exporter": others - loaders}.get(kind, set())


def _find(plugin: Plugin, key: tuple[Kind, str]) -> Spec:
    return next(s for s in plugin.specs if (kind_of(s), s.name) == key)


def _builtin() -> list[Plugin]:
    from importlib_metadata import EntryPoint, version

    point = EntryPoint("builtin", "neptune_exporter.reporters", hookspecs.PROJECT)
    return [_load(point, "neptune-exporter-core", version("neptune-exporter-core"))]


def _installed() -> list[Plugin]:
    """Every plugin on `sys.path`. Distributions are asked one by one: a bad file spoils only its own."""
    from importlib_metadata import distributions

    disabled = {_canonical(name) for name in os.environ.get(DISABLE_VARIABLE, "").split(",") if name.strip()}
    plugins: list[Plugin] = []
    seen: set[str] = set()
    for found in distributions():
        if not _may_have_plugins(found):
            continue
        name, version = _name_and_version(found)
        if _canonical(name) in seen:
            continue  # further back on the path, so not what is imported
        seen.add(_canonical(name))
        try:
            points = found.entry_points.select(group=hookspecs.PROJECT)
        except Exception as error:  # noqa: BLE001 - whatever a malformed file raises is listed
            what = f"its entry_points.txt cannot be read: {type(error).__name__}"
            plugins.append(Plugin(name, name, version, "", error=what))
            continue
        for point in points:
            if {_canonical(point.name), _canonical(name)} & disabled:
                plugins.append(Plugin(point.name, name, version, point.value, disabled=True))
            else:
                plugins.append(_load(point, name, version))
    return sorted(plugins, key=lambda p: (p.name, p.distribution))


def _may_have_plugins(found: Any) -> bool:
    """A look at the text first: reading the metadata of hundreds of distributions would take long."""
    try:
        return f"[{hookspecs.PROJECT}]" in (found.read_text("entry_points.txt") or "")
    except (OSError, UnicodeDecodeError):
        return False


def _name_and_version(found: Any) -> tuple[str, str]:
    try:
        name, version = found.name, found.version
    except Exception:  # noqa: BLE001 - metadata that is missing or malformed; the entry points may be fine
        name = version = None
    return name or Path(str(getattr(found, "_path", "unknown"))).stem.partition("-")[0], version or "?"


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


class _BrokenPluginError(Exception):
    """What is wrong with a plugin, in one line."""


def _load(point: EntryPoint, distribution: str, version: str) -> Plugin:
    specs: list[Spec] = []
    error = None
    try:
        for spec in _offered(point.load(), point.name):
            _check_name(spec)
            specs.append(spec)
            _check(spec)
    except _BrokenPluginError as broken:
        error = str(broken)
    except ModuleNotFoundError as missing:
        error = f"it needs the module {missing.name}, which is not installed: reinstall {distribution}"
    except (Exception, SystemExit) as unknown:  # noqa: BLE001 - foreign code: whatever it raises is listed
        error = " ".join(f"{type(unknown).__name__}: {unknown}".split())
    return Plugin(point.name, distribution, version, point.value, tuple(specs), error)


def _offered(module: object, name: str) -> Iterable[Spec]:
    """Call the hooks of one module. It gets a manager of its own, so nothing of others can interfere."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise _BrokenPluginError(" ".join(str(error).split())) from error
    found = manager.get_hookcallers(module) or []
    if not found:
        raise _BrokenPluginError(f"it implements none of the hooks {', '.join(_HOOKS)}")
    for caller in found:
        _, spec_type = _HOOKS[caller.name]
        for implementation in caller.get_hookimpls():
            # Called directly: pluggy drops a None, which is what a forgotten `return` gives.
            offered = implementation.function()
            if not isinstance(offered, Iterable):
                raise _BrokenPluginError(
                    f"{caller.name} returned {type(offered).__name__}, not a list of {spec_type.__name__}"
                )
            for spec in offered:
                if not isinstance(spec, spec_type):
                    raise _BrokenPluginError(
                        f"{caller.name} gave a {type(spec).__name__}, not a {spec_type.__name__}"
                    )
                yield spec  # type: ignore[misc]


def _check_name(spec: Any) -> None:
    if not isinstance(spec.name, str) or not re.fullmatch(r"[a-z][a-z0-9_-]*", spec.name):
        raise _BrokenPluginError(f"the name {spec.name!r} is not made of small letters, digits, _ and -")
    if spec.name in RESERVED_NAMES:
        raise _BrokenPluginError(f"the name {spec.name} belongs to a table of the commands")


def _check(spec: Any) -> None:
    if spec.api_version != API_VERSION:
        age, cure = (
            ("outdated", "upgrade the plugin")
            if spec.api_version < API_VERSION
            else ("newer", "upgrade neptune-exporter")
        )
        raise _BrokenPluginError(
            f"it is {age}: made for version {spec.api_version} of the contract, this is {API_VERSION}: {cure}"
        )
    if not callable(spec.factory):
        raise _BrokenPluginError(f"the factory of {spec.name} cannot be called")
    try:
        fields = setting_fields(spec.name, spec.settings)
    except (TypeError, NameError) as error:
        raise _BrokenPluginError(f"{spec.name}: {error}") from error
    for setting in fields:
        if setting.flag in RESERVED_FLAGS:
            raise _BrokenPluginError(f"{spec.name}: the flag {setting.flag} belongs to the commands")
