"""Data as part of a page."""

from __future__ import annotations

from html import escape as _escape

from neptune_exporter.redaction import printable


def escape(text: str) -> str:
    """Data as the page shows it: nothing that is no text, and no markup."""
    return _escape(printable(text))
