"""Every check, and the demo. `nox` alone runs what CI runs; `nox -l` lists the rest."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
CONSTRAINTS = ["-c", str(ROOT / "constraints.txt")]
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
WHEEL_TESTS = {
    "core": ["core/tests/plugins", "core/tests/jobs", "core/tests/configuration"],
    "neptune2": ["plugins/neptune2/tests/source/test_values.py"],
    "neptune3": ["plugins/neptune3/tests/test_client.py", "plugins/neptune3/tests/test_points.py"],
    "offline": ["plugins/offline/tests/test_files.py"],
    "explorer": ["plugins/explorer/tests/test_points.py", "plugins/explorer/tests/test_guard.py"],
    "pluto_loader": ["plugins/pluto_loader/tests/test_encode.py", "plugins/pluto_loader/tests/test_runs.py"],
    "mlflow_loader": [
        "plugins/mlflow_loader/tests/test_names.py",
        "plugins/mlflow_loader/tests/test_runs.py",
    ],
    "wandb_loader": [
        "plugins/wandb_loader/tests/test_framing.py",
        "plugins/wandb_loader/tests/test_runs.py",
    ],
    "neptune2-server": ["servers/neptune2/tests/test_process.py"],
    "neptune3-server": ["servers/neptune3/tests/test_process.py"],
    "pluto-server": ["servers/pluto/tests/test_ingest.py"],
}
"""What the matrix runs by default of each package, so that its sessions stay a matter of minutes. The session
`tests` runs everything; `nox -s plugin -- whole` runs all of a package's tests against its wheel."""
PACKAGES = {
    "core": "neptune_exporter_core",
    "neptune2": "neptune_exporter_neptune2",
    "neptune3": "neptune_exporter_neptune3",
    "offline": "neptune_exporter_offline",
    "explorer": "neptune_exporter_explorer",
    "pluto_loader": "neptune_exporter_pluto",
    "mlflow_loader": "neptune_exporter_mlflow",
    "wandb_loader": "neptune_exporter_wandb",
    "neptune2-server": "neptune_exporter_neptune2_server",
    "neptune3-server": "neptune_exporter_neptune3_server",
    "pluto-server": "neptune_exporter_pluto_server",
}

SERVER_OF = {"neptune2": "neptune2-server", "neptune3": "neptune3-server", "pluto_loader": "pluto-server"}
"""The server that the extra `testing` of a package brings."""

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
# Every package on the oldest and the newest Python, the servers on one; `nox -s plugin` is the whole matrix.
nox.options.sessions = [
    *["lint", "typing", "complexity", "docs", "tests", "template"],
    *(
        f"plugin-{python}(package={package!r})"
        for package in PACKAGES
        for python in ([PYTHONS[-2]] if package.endswith("-server") else [PYTHONS[0], PYTHONS[-1]])
    ),
    "demo",
]

# Every environment is new: where bytecode may not be written, each of the many Pythons that a session starts
# would compile what it imports, which takes several times as long as running it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell has what it starts in the background ignore Ctrl-C, down to the commands that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# pyenv keeps interpreters off PATH until they are chosen; here all of them are wanted.
_pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
os.environ["PATH"] = os.pathsep.join(
    [os.environ.get("PATH", ""), *(str(p / "bin") for p in sorted(_pyenv.glob("3.1[0-3].*")))]
)

IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not {"__main__", *sys.argv[2:]} & set(module.name.split(".")):
        importlib.import_module(module.name)
"""
"""Every module of a package must import, but for those named."""


def _folder(package: str) -> str:
    if package == "core":
        return package
    return f"servers/{package[:-7]}" if package.endswith("-server") else f"plugins/{package}"


def _install_workspace(session: nox.Session, *extra: str) -> None:
    """Every package from its source, editable, with what its tests need."""
    packages = [arg for p in PACKAGES for arg in ("-e", f"./{_folder(p)}[testing]")]
    session.install(*CONSTRAINTS, *packages, *extra)


def _build_wheel(session: nox.Session, folder: str, target: Path) -> None:
    if shutil.which("uv"):
        command = ["uv", "build", "--wheel", "--quiet", "--out-dir", str(target), folder]
    else:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        command = [*pip, "-w", str(target), str(Path(folder).resolve())]
    session.run_install(*command, external=True, silent=True)


_built = False


def _build_wheels(session: nox.Session) -> None:
    """Build all wheels once a run of nox, in an environment that is not the session's."""
    global _built
    if _built:
        return
    shutil.rmtree(DIST, ignore_errors=True)
    for folder in [".", *map(_folder, PACKAGES)]:
        _build_wheel(session, folder, DIST)
    _built = True


def _wheels(package: str, extra: str = "") -> list[str]:
    """What a package is installed from: its wheel, the core's and its server's, which no index has."""
    server = SERVER_OF.get(package) if extra else None
    packages = ["core", package, *([server] if server else [])]
    wheels = [next(DIST.glob(f"{PACKAGES[each]}-*.whl")) for each in dict.fromkeys(packages)]
    return [f"{wheel}{extra}" for wheel in wheels]


@nox.session
def kills(session: nox.Session) -> None:
    """Kill workers of an export on Dask at every failpoint, and a load 200 times at random moments.

    `-- NUMBER` for another number.
    """
    _install_workspace(session)
    number = session.posargs[0] if session.posargs else "200"
    tests = ["tests/test_killed_on_dask.py", "plugins/pluto_loader/tests/kills.py"]
    session.run("pytest", "-s", *tests, env={"NEPTUNE_EXPORTER_KILLS": number, "PYTHONHASHSEED": "0"})


def _copy_example(name: str, folder: Path) -> None:
    """The example loader under another name. `sqlite3` and the file `runs.sqlite` keep theirs."""
    example = ROOT / "examples" / "sqlite_loader"
    shutil.copytree(example, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file():
            text = re.sub(r"(?<!\.)sqlite(?!3)", name, path.read_text())
            path.write_text(text.replace("Sqlite", name.title()))
        path.rename(path.with_name(path.name.replace("sqlite", name)))


@nox.session
def demo(session: nox.Session) -> None:
    """The main job without an account: train, export, look, load, prove."""
    _install_workspace(session)
    session.run("python", "examples/journey/journey.py", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests of the workspace in one environment, those that cross packages included."""
    _install_workspace(session, "pytest-xdist", "gcsfs")
    # One seed for both workers: some test ids show sets, whose order follows it.
    # More workers than cores, as many tests wait: for a pause before a new try, or for a process of theirs.
    session.run("pytest", "-n", "4", "--dist", "worksteal", *session.posargs, env={"PYTHONHASHSEED": "0"})


@nox.session
def ray(session: nox.Session) -> None:
    """The executor on Ray, and the demo with it. Its wheel is large and its start slow: not by default."""
    _install_workspace(session, "ray")
    tests = ["core/tests/jobs/test_ray.py", "tests/test_executors.py"]
    session.run("pytest", "-k", "ray", *tests, *session.posargs, env={"NEPTUNE_EXPORTER_RAY": "1"})
    session.run("python", "examples/journey/journey.py", "--executor", "ray")


@nox.session
def kit(session: nox.Session) -> None:
    """The conformance kit for every loader, with a break at every line: 20 minutes, so not by default."""
    _install_workspace(session, "-e", "./examples/sqlite_loader", "pytest-xdist")
    plugins = sorted(
        str(p.relative_to(ROOT)) for p in ROOT.glob("plugins/*_loader/tests/test_conformance.py")
    )
    loaders = [*plugins, "examples/sqlite_loader/tests"]
    environment = {"PYTHONHASHSEED": "0", "NEPTUNE_EXPORTER_KIT": "all"}
    options = ["-n", "2", "--dist", "worksteal", "--timeout", "3600"]
    session.run("pytest", *options, *loaders, *session.posargs, env=environment)


@nox.session
def every_way(session: nox.Session) -> None:
    """All data by every way into MLflow and W&B, verified in full: some ten minutes, so not by default."""
    _install_workspace(session)
    tests = ["plugins/mlflow_loader/tests/every_way.py", "plugins/wandb_loader/tests/every_dataset.py"]
    session.run("pytest", "--timeout", "900", *tests, *session.posargs)


@nox.session
def wandb_sdk(session: nox.Session) -> None:
    """The conformance kit for runs that wandb's SDK writes: some ten minutes, so not by default."""
    _install_workspace(session)
    session.run(
        "pytest", "--timeout", "900", "plugins/wandb_loader/tests/sdk_conformance.py", *session.posargs
    )


@nox.session(python=PYTHONS)
@nox.parametrize("package", list(PACKAGES))
def plugin(session: nox.Session, package: str) -> None:
    """One package's built wheel and what that declares, and nothing else; then its tests.

    The modules are imported before the extra `testing` is there: that brings SDKs, and with them
    what a package may have forgotten to declare.
    """
    _build_wheels(session)
    name = "neptune_exporter" if package == "core" else PACKAGES[package]
    session.install(*CONSTRAINTS, *_wheels(package))
    session.run("python", "-c", IMPORT_ALL, name, "testing")
    session.install(*CONSTRAINTS, *_wheels(package, "[testing]"))
    session.run("python", "-c", IMPORT_ALL, name)
    whole = session.posargs == ["whole"]
    session.run("pytest", "-q", *([f"{_folder(package)}/tests"] if whole else WHEEL_TESTS[package]))


@nox.session
def template(session: nox.Session) -> None:
    """Begin a loader of your own: `-- NAME FOLDER` copies, builds and tests the example."""
    if session.posargs and len(session.posargs) != 2:
        session.error("nox -s template -- NAME FOLDER")
    wheels = Path(session.create_tmp())
    name, folder = session.posargs or ("acme", str(wheels / "acme"))
    if not session.posargs:
        shutil.rmtree(folder, ignore_errors=True)
    _build_wheels(session)
    _copy_example(name, Path(folder))
    _build_wheel(session, folder, wheels)
    (wheel,) = wheels.glob(f"neptune_exporter_{name}-*.whl")
    session.install(*CONSTRAINTS, *_wheels("core"), f"{wheel}[testing]")
    session.run("pytest", "-q", folder)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff: rules and format."""
    session.install(*CONSTRAINTS, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def typing(session: nox.Session) -> None:
    """mypy, strict, over every package."""
    _install_workspace(session, "mypy")
    session.run("mypy", *(f"{_folder(p)}/src" for p in PACKAGES))


@nox.session
def complexity(session: nox.Session) -> None:
    """radon: at most 3 % of the functions may be hard to follow."""
    session.install(*CONSTRAINTS, "radon")
    session.run("python", "tests/complexity.py")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages of docs/; any warning, such as a dead link, fails."""
    session.install(*CONSTRAINTS, "mkdocs-material", "mkdocstrings-python", "ruff")
    # The theme prints an advertisement for its successor at every build.
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def news(session: nox.Session) -> None:
    """The page of the next release, as the fragments in changes/ make it."""
    session.install(*CONSTRAINTS, "towncrier")
    session.run("towncrier", "build", "--draft", "--version", "next")


@nox.session
def build(session: nox.Session) -> None:
    """Build every wheel into dist/."""
    _build_wheels(session)
    session.log("built %s", ", ".join(sorted(p.name for p in DIST.glob("*.whl"))))


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Ratios against limits measured in the same run; nothing here passes or fails by time."""
    _install_workspace(session, "psutil")
    for script in sorted((ROOT / "benchmarks").glob("[!_]*.py")):
        session.run("python", str(script.relative_to(ROOT)), *session.posargs)
