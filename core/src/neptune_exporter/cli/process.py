"""Takes credentials out of the process list.

The arguments of a process are there for every user of the machine to read. When a
secret was given as one, the process starts itself again with the same arguments, but
with a pipe in the secret's place. It was visible for the moment that this takes:
a variable or `@FILE` is better, and the help says so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_PIPE_HOLDS = 4096
"""Bytes that every system's pipe takes before anyone reads."""


def hide_arguments(secrets: Mapping[str, str]) -> None:
    """Replace this process by one without these values (by flag); returns only where that cannot be done."""
    if os.name != "posix" or not Path("/dev/fd").exists():
        return
    arguments = list(sys.orig_argv)
    if any(len(secret.encode()) > _PIPE_HOLDS for secret in secrets.values()):
        return
    for flag, secret in secrets.items():
        reference = f"@/dev/fd/{_pipe(secret)}"
        for i, argument in enumerate(arguments):
            if argument == f"{flag}={secret}":
                arguments[i] = f"{flag}={reference}"
            elif argument == secret and arguments[i - 1] == flag:
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
