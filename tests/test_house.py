"""What docs/architecture.md says of the tree, checked on the tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core/src/neptune_exporter"
PLUGINS = sorted((ROOT / "plugins").glob("*/src/*"))
SERVERS = sorted((ROOT / "servers").glob("*/src/*"))
ALLOWED_IN_PLUGINS = ("contract", "toolkit", "sinks", "model", "schema", "testing")
FOREIGN_TO_CORE = {"pandas", "httpx", "neptune", "neptune_query", "neptune_scale", "pluto", "requests"}
FOLDERS = ("core", "plugins", "servers", "tests", "benchmarks", "examples")
SOURCES = [p for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_files_that_the_page_names_exist() -> None:
    """A file that a row of the table of plugins names is one of that plugin's own."""
    named = 0
    for line in (ROOT / "docs/architecture.md").read_text().splitlines():
        row = re.match(r"\| `(\w+)` \|", line)
        rooms = [p for p in PLUGINS if row and p.parts[-3] == row[1]] or [CORE, *PLUGINS]
        for name in re.findall(r"`([\w/]+\.py)`", line):
            named += 1
            assert any(any(room.rglob(name)) for room in rooms), f"{name}: {line}"
    assert named > 100


def test_there_is_something_to_check() -> None:
    assert len(PLUGINS) == 7 and len(SOURCES) > 100


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda p: str(p.relative_to(CORE)))
def test_core_imports_no_client_and_no_plugin(path: Path) -> None:
    roots = {name.partition(".")[0] for name in imported(path)}
    assert not roots & FOREIGN_TO_CORE
    assert not {root for root in roots if root.startswith("neptune_exporter_")}


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: p.name)
def test_plugins_import_the_contract_and_nothing_else_of_core(plugin: Path) -> None:
    for path in plugin.rglob("*.py"):
        for name in imported(path):
            root, _, rest = name.partition(".")
            if root == "neptune_exporter":
                assert rest.partition(".")[0] in ALLOWED_IN_PLUGINS, f"{path}: {name}"


@pytest.mark.parametrize("server", SERVERS, ids=lambda p: p.name)
def test_servers_import_no_plugin_and_only_the_kit_of_core(server: Path) -> None:
    for path in server.rglob("*.py"):
        for name in imported(path):
            root, _, rest = name.partition(".")
            if root == "neptune_exporter":
                assert rest.partition(".")[0] in ("testing", "model"), f"{path}: {name}"
            elif root.startswith("neptune_exporter_"):
                assert root == server.name, f"{path}: {name}"


ROOMS = ("format", "read", "write", "check")


def test_the_rooms_of_the_dataset_read_downward() -> None:
    for rank, room in enumerate(ROOMS):
        for path in (CORE / "dataset" / room).rglob("*.py"):
            for name in imported(path):
                parts = name.split(".")
                if parts[:2] == ["neptune_exporter", "dataset"] and len(parts) > 2 and parts[2] in ROOMS:
                    assert ROOMS.index(parts[2]) <= rank, f"{path}: {name}"


LAYERS = {
    "errors": 0,
    "model": 0,
    "schema": 0,
    "compute": 0,
    "contract": 1,
    "toolkit": 2,
    "sinks": 3,
    "dataset": 3,
    "reading": 4,
    "jobs": 4,
    "cli": 5,
}


@pytest.mark.parametrize("layer", [name for name, rank in LAYERS.items() if rank])
def test_imports_run_one_way(layer: str) -> None:
    for path in (CORE / layer).rglob("*.py"):
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "neptune_exporter" and len(parts) > 1 and parts[1] in LAYERS:
                assert LAYERS[parts[1]] <= LAYERS[layer], f"{path}: {name}"


def test_no_module_of_core_imports_itself_by_way_of_others() -> None:
    """Not even within a function: only what is imported for types alone may."""
    modules = {
        ".".join(path.relative_to(CORE.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in CORE.rglob("*.py")
    }
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                node.body = [ast.Pass()]
        names = (
            name if (name := f"{node.module}.{alias.name}") in modules else node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        )
        graph[module] = {name for name in names if name in modules}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def test_sinks_and_the_dataset_do_not_know_each_other() -> None:
    for room, other in (("sinks", "dataset"), ("dataset", "sinks")):
        for path in (CORE / room).rglob("*.py"):
            assert not any(name.startswith(f"neptune_exporter.{other}") for name in imported(path)), path


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_the_page_of_settings_is_what_the_command_prints(command_line) -> None:  # type: ignore[no-untyped-def]
    printed = command_line.run("plugins", "settings", "--markdown").output
    page = (ROOT / "docs/settings.md").read_text()
    assert "NEPTUNE_EXPORTER_PLUTO_LOG_EVERY" in printed
    assert page.endswith(printed)


def test_nothing_says_to_install_from_an_index_that_has_none_of_it() -> None:
    """`pip install neptune-exporter[...]` finds nothing: the distributions are on no index."""
    pages = [p for p in ROOT.rglob("*.md") if not {".venv", ".nox", "node_modules"} & set(p.parts)]
    assert len(pages) > 10
    for path in [*pages, *(p for p in SOURCES if p != Path(__file__))]:
        for found in re.finditer(r"pip install[^`]*?neptune-exporter\[", path.read_text()):
            assert "--find-links" in found[0], f"{path}: {found[0]}"
