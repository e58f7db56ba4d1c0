"""Takes credentials out of the process list.

The arguments of a process are there for every user of the machine to read. When a secret was given as one,
the process starts itself again with the same arguments, but with a pipe in the secret's place. It was visible
for the moment that this takes: a variable or `@FILE` is better, and the help says so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_PIPE_HOLDS = 4096
"""Bytes that every system's pipe takes before anyone reads."""


class Typed(NamedTuple):
    """A secret that was typed as the value of a flag."""

    flag: str
    secret: str
    before: str = ""
    """What stands before it in the value, and is none: `KEY=`."""


def hide_arguments(secrets: Iterable[Typed]) -> None:
    """Replace this process by one without these values; returns only where that cannot be done."""
    if os.name != "posix" or not Path("/dev/fd").exists():
        return
    arguments = list(sys.orig_argv)
    several = list(secrets)
    if any(len(typed.secret.encode()) > _PIPE_HOLDS for typed in several):
        return
    for flag, secret, before in several:
        reference = f"{before}@/dev/fd/{_pipe(secret)}"
        for i, argument in enumerate(arguments):
            if argument == f"{flag}={before}{secret}":
                arguments[i] = f"{flag}={reference}"
            elif argument == f"{before}{secret}" and arguments[i - 1] == flag:
                arguments[i] = reference
    if arguments == sys.orig_argv:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, arguments)


def _pipe(content: str) -> int:
    """A pipe that holds the content, for a process started by exec to read to its end."""
    reading, writing = os.pipe()
    os.write(writing, content.encode())
    os.close(writing)
    os.set_inheritable(reading, True)
    return reading
