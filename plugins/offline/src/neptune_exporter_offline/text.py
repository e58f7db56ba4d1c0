"""Paths as a terminal can show them."""

from __future__ import annotations


def shown(path: str) -> str:
    """A path as it may stand in a line for a person."""
    return path if path.isprintable() else repr(path)
