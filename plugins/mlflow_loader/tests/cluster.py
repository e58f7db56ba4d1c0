"""A PostgreSQL of the tests' own: a cluster in a temporary folder, of a user who is not root."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

_SECONDS = 60.0


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, which Debian keeps off PATH."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


@dataclass(frozen=True)
class Cluster:
    port: int

    def uri(self, database: str) -> str:
        return f"postgresql://tests@127.0.0.1:{self.port}/{database}"

    def create(self, name: str, template: str = "template0") -> str:
        """Make a database; its URI. MLflow keeps connections to the template open: they are ended."""
        self._run(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{template}'")
        self._run(f"create database {name} template {template}")
        return self.uri(name)

    def drop(self, name: str) -> None:
        self._run(f"drop database {name} with (force)")

    def _run(self, command: str) -> None:
        with psycopg.connect(self.uri("postgres"), autocommit=True) as db:
            db.execute(command)

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[Cluster]:
        """A running cluster; the test is skipped where PostgreSQL is not installed."""
        folder = programs()
        if folder is None:
            pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
        user = _user()
        with tempfile.TemporaryDirectory(prefix="postgresql-") as data:
            if user is not None:
                shutil.chown(data, user)
            make = [str(folder / "initdb"), "-D", f"{data}/db", "-U", "tests", "-A", "trust", "-E", "UTF8"]
            subprocess.run([*make, "-N"], user=user, check=True, capture_output=True, cwd=data)
            port = free_port()
            serve = [str(folder / "postgres"), "-D", f"{data}/db", "-h", "127.0.0.1", "-p", str(port)]
            server = subprocess.Popen(
                [*serve, "-k", data, "-F"], user=user, cwd=data, stderr=subprocess.DEVNULL
            )
            try:
                cluster = cls(port)
                cluster._wait(server)
                yield cluster
            finally:
                server.terminate()  # SIGTERM waits for sessions to end: none is left open
                try:
                    server.wait(10)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()

    def _wait(self, server: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + _SECONDS
        while True:
            try:
                self._run("select 1")
                return
            except psycopg.OperationalError:
                assert server.poll() is None and time.monotonic() < end, "PostgreSQL does not start"
                time.sleep(0.1)


def _user() -> str | None:
    """Who may run PostgreSQL: root may not."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = next((name for name in ("postgres", "nobody") if name in known), None)
    if user is None:
        pytest.skip("PostgreSQL does not run as root, and there is no other user")
    return user


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
