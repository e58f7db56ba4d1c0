"""Bodies that something between a client and its server answers with 200 in place of the server."""

from __future__ import annotations


def web_page(title: str) -> bytes:
    """What a portal that asks to log in answers in place of the server, with 200 and as `text/html`."""
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>Log in</body></html>".encode()


def no_protocol() -> tuple[bytes, ...]:
    """Bodies of 200 that no protocol here gives, and that naive readers take for something."""
    return b"", b"null", b"[]", b'{"entries', b"OK"
