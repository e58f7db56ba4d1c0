"""Waits for work in other threads in a way that Ctrl-C can interrupt."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

from neptune_exporter.interruption import LISTENING

_T = TypeVar("_T")


def first_done(running: Collection[Future[_T]]) -> tuple[set[Future[_T]], set[Future[_T]]]:
    """Wait until at least one is done.

    Returns:
        The ones that are done, and the others.
    """
    while True:
        done, left = wait(running, LISTENING, FIRST_COMPLETED)
        if done or not left:
            return done, left
