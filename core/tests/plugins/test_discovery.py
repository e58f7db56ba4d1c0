"""Every plugin is found, and a broken one breaks nothing but itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import API_VERSION, NeptuneExporterError, UsageError
from neptune_exporter.contract.specs import SinkSpec, SourceSpec
from neptune_exporter.plugins import FOLDERS, Plugin, PluginRegistry

GOOD = """
from neptune_exporter.contract import (SourceSpec, SinkSpec, hookimpl)

def factory(*arguments):
    raise AssertionError("nothing is made by registering")

@hookimpl
def neptune_exporter_sources():
    return [SourceSpec("{name}", "A source.", factory)]

@hookimpl
def neptune_exporter_sinks():
    yield SinkSpec("{name}", "A sink.", factory)
"""


def plugin_of(registry: PluginRegistry, distribution: str) -> Plugin:
    (plugin,) = [p for p in registry.plugins if p.distribution == distribution]
    return plugin


def test_a_plugin_offers_what_its_hooks_return(distributions: Any) -> None:
    module = distributions.add("acme-tracker", GOOD.format(name="acme"), version="2.3")
    registry = PluginRegistry.discover()
    plugin = plugin_of(registry, "acme-tracker")
    assert (plugin.status, plugin.version, plugin.entry_point) == ("ok", "2.3", module)
    assert registry.select(SourceSpec, "acme").summary == "A source."
    assert registry.select(SinkSpec, "acme").summary == "A sink."


def test_the_reporters_of_core_are_there_without_any_plugin(distributions: Any) -> None:
    distributions.add("acme-tracker", GOOD.format(name="acme"))
    registry = PluginRegistry.discover(builtin_only=True)
    assert [p.name for p in registry.plugins] == ["builtin"]
    assert [s.name for s in registry.specs("reporter")] == ["html", "json", "text"]
    with pytest.raises(UsageError, match="there is no exporter acme; available: none"):
        registry.select(SourceSpec, "acme")


SPEC = "from neptune_exporter.contract import SourceSpec, ReporterSpec, setting, hookimpl\n@hookimpl\n"
BROKEN = {
    "syntax": ("def broken(:", "SyntaxError"),
    "import": ("import a_module_that_is_nowhere", "needs the module a_module_that_is_nowhere"),
    "exit": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "import-raises": ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
    "hook-raises": (SPEC + "def neptune_exporter_sources(): raise KeyError('oops')", "KeyError: 'oops'"),
    "nothing-returned": (SPEC + "def neptune_exporter_sources(): pass", "returned NoneType"),
    "one-instead-of-many": (
        SPEC + "def neptune_exporter_sources(): return SourceSpec('x', '', print)",
        "returned SourceSpec, not a list of SourceSpec",
    ),
    "wrong-kind": (
        SPEC + "def neptune_exporter_sources(): return [ReporterSpec('x', '', print)]",
        "gave a ReporterSpec, not a SourceSpec",
    ),
    "no-hook": ("x = 1", "implements none of the hooks"),
    "unknown-hook": (SPEC + "def neptune_exporter_sorcs(): return []", "unknown hook"),
    "unknown-argument": (SPEC + "def neptune_exporter_sources(colour): return []", "colour"),
    "name": (SPEC + "def neptune_exporter_sources(): return [SourceSpec('No Name', '', print)]", "'No Name'"),
    "name-type": (SPEC + "def neptune_exporter_sources(): return [SourceSpec(['x'], '', print)]", "['x']"),
    "factory": (SPEC + "def neptune_exporter_sources(): return [SourceSpec('x', '', None)]", "factory"),
    "settings": (
        SPEC + "def neptune_exporter_sources(): return [SourceSpec('x', '', print, settings=dict)]",
        "is not a dataclass",
    ),
    "outdated": (
        SPEC + "def neptune_exporter_sources(): return [SourceSpec('x', '', print, api_version=0)]",
        "outdated: made for version 0 of the contract",
    ),
    "newer": (
        SPEC
        + "def neptune_exporter_sources():\n"
        + f"    return [SourceSpec('x', '', print, api_version={API_VERSION + 1})]",
        "upgrade neptune-exporter",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_listed_and_spoils_nothing(case: str, distributions: Any) -> None:
    code, expected = BROKEN[case]
    module = distributions.add("acme-broken", code, version="0.9", name="x")
    distributions.add("acme-good", GOOD.format(name="good"))
    registry = PluginRegistry.discover()
    plugin = plugin_of(registry, "acme-broken")
    assert (plugin.status, plugin.version, plugin.entry_point) == ("broken", "0.9", module)
    assert plugin.error is not None
    assert expected in plugin.error
    assert "\n" not in plugin.error
    assert registry.select(SourceSpec, "good").name == "good"
    assert "x" not in [s.name for s in registry.specs("exporter")]
    with pytest.raises(
        NeptuneExporterError, match=r"exporter x cannot be used: acme-broken 0\.9 is broken: "
    ):
        registry.select(SourceSpec, "x")


def test_settings_that_no_option_can_be_made_of_are_the_plugins_fault(distributions: Any) -> None:
    code = (
        "from dataclasses import dataclass\n"
        + SPEC
        + "def neptune_exporter_sources(): return [SourceSpec('x', '', print, settings=Settings)]\n"
        + "@dataclass(frozen=True)\nclass Settings:\n"
        + "    field: {type} = setting(default=None, help='', flag={flag!r})\n"
    )
    distributions.add("acme-type", code.format(type="dict | None", flag=None), name="x")
    distributions.add("acme-flag", code.format(type="str | None", flag="-x"), name="x")
    distributions.add("acme-taken", code.format(type="str | None", flag="--force"), name="x")
    registry = PluginRegistry.discover()
    assert "unsupported type" in (plugin_of(registry, "acme-type").error or "")
    assert "malformed flag -x" in (plugin_of(registry, "acme-flag").error or "")
    assert "--force belongs to the commands" in (plugin_of(registry, "acme-taken").error or "")


def test_two_plugins_of_one_name_cannot_be_selected_and_are_both_named(
    distributions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributions.add("acme-one", GOOD.format(name="same"), version="1.1", name="same")
    distributions.add("acme-two", GOOD.format(name="same"), version="2.2", name="same")
    registry = PluginRegistry.discover()
    assert ("exporter", "same") in registry.conflicts()
    assert "same" not in [s.name for s in registry.specs("exporter")]
    with pytest.raises(UsageError, match=r"acme-one 1\.1 and acme-two 2\.2 both provide the exporter same"):
        registry.select(SourceSpec, "same")

    monkeypatch.setenv("NEPTUNE_EXPORTER_DISABLE_PLUGINS", "offline, acme_two")
    registry = PluginRegistry.discover()
    assert registry.conflicts() == {}
    assert registry.select(SourceSpec, "same").name == "same"


def test_a_disabled_plugin_is_not_even_imported(distributions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = distributions.add("acme-tracker", "raise RuntimeError('imported')", name="acme")
    monkeypatch.setenv("NEPTUNE_EXPORTER_DISABLE_PLUGINS", "ACME")
    registry = PluginRegistry.discover()
    plugin = plugin_of(registry, "acme-tracker")
    assert (plugin.status, plugin.error) == ("disabled", None)
    assert module not in sys.modules
    with pytest.raises(UsageError, match="the exporter acme is disabled by NEPTUNE_EXPORTER_DISABLE_PLUGINS"):
        registry.select(SourceSpec, "acme")


def test_malformed_files_of_one_distribution_spoil_only_that_one(distributions: Any) -> None:
    distributions.add("acme-bad", "", entry_points="[neptune_exporter]\nthis is no pair\n")
    distributions.add("acme-bare", GOOD.format(name="bare"), metadata=False)
    distributions.add("acme-good", GOOD.format(name="good"))
    registry = PluginRegistry.discover()
    assert "entry_points.txt cannot be read" in (plugin_of(registry, "acme-bad").error or "")
    assert registry.select(SourceSpec, "good").name == "good"
    assert registry.select(SourceSpec, "bare").name == "bare"
    assert plugin_of(registry, "acme_bare").version == "?"


def test_an_unknown_name_says_what_there_is(distributions: Any) -> None:
    distributions.add("acme-one", GOOD.format(name="one"))
    distributions.add("acme-two", GOOD.format(name="two"))
    with pytest.raises(UsageError, match="there is no loader three; available: one, two") as caught:
        PluginRegistry.discover().select(SinkSpec, "three")
    assert caught.value.exit_code == 2


def test_a_plugin_of_ours_that_is_not_installed_says_what_installs_it(distributions: Any) -> None:
    distributions.add("acme-one", GOOD.format(name="one"))
    found = PluginRegistry.discover().plugins
    registry = PluginRegistry(tuple(plugin for plugin in found if plugin.name not in FOLDERS))
    with pytest.raises(
        UsageError,
        match=r"the loader pluto is not installed; available: one; to add it, in a clone of the repository: "
        r"uv sync --inexact --extra pluto, or pip install \./plugins/pluto_loader$",
    ):
        registry.select(SinkSpec, "pluto")
    with pytest.raises(UsageError, match=r"available: one$"):
        registry.select(SinkSpec, "two")
    assert "uv sync --inexact --extra all" in PluginRegistry(()).available("loader")
    with pytest.raises(UsageError, match=r"there is no loader plutoo; available: one; did you mean pluto\?$"):
        registry.select(SinkSpec, "plutoo")
    with pytest.raises(UsageError, match=r"there is no loader neptune3; available: one$"):
        registry.select(SinkSpec, "neptune3")
    assert "plugin offline, which is not installed; to add it" in str(
        registry.why_no_option("--offline-path")
    )
    assert registry.why_no_option("--files-paht") is None
    with pytest.raises(UsageError, match=r"available: none with --no-plugins$"):
        PluginRegistry.discover(builtin_only=True).select(SinkSpec, "pluto")


def test_registering_the_plugins_of_the_workspace_imports_no_sdk(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; before = set(sys.modules)\n"
        "from neptune_exporter.plugins import PluginRegistry\n"
        "plugins = PluginRegistry.discover().plugins\n"
        "heavy = {'neptune', 'neptune_query', 'pluto', 'pyarrow', 'httpx', 'pandas', 'numpy', 'bravado'}\n"
        "print(len(plugins), sorted({m.partition('.')[0] for m in set(sys.modules) - before} & heavy))"
    )
    result = subprocess.run(
        # Without site: an SDK may have itself imported at every start of Python.
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=tmp_path,
    )
    count, _, heavy = result.stdout.strip().partition(" ")
    assert int(count) >= 1
    assert heavy == "[]"
