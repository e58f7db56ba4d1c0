"""Keeps credentials out of everything that is written for people: logs, errors, reports, receipts.

Every `Secret` is remembered here when it is made, and `redact` takes it
out of a text whoever wrote it: a vendor's client, a server's reply, a traceback.
"""

from __future__ import annotations

import threading

_MASK = "***"
_SHORTEST = 4
"""Shorter values are no credentials, and taking them out would garble every text."""

_lock = threading.Lock()
_known: tuple[str, ...] = ()


def remember(secret: str) -> None:
    """Take this value, as it is or escaped, out of every text from now on; so the key inside of a token."""
    import json  # only once there is a secret: every start pays for what is imported above
    from urllib.parse import quote, quote_plus

    global _known
    secret = secret.strip()
    if len(secret) < _SHORTEST:
        return
    forms: set[str] = set()
    for text in filter(None, (secret, _key_inside(secret))):
        forms |= {text, quote(text, safe=""), quote(text), quote_plus(text)}
        forms |= {json.dumps(text)[1:-1], repr(text)[1:-1]}
    with _lock:
        # Longest first: a secret that contains another one goes as a whole.
        _known = tuple(sorted({*_known, *forms}, key=lambda form: (-len(form), form)))


def _key_inside(token: str) -> str:
    """Neptune's tokens are base64 of JSON, of which the server knows the `api_key`; empty for any other."""
    import base64
    import json

    try:
        found = json.loads(base64.b64decode(token.strip() + "=="))
    except ValueError:
        return ""
    key = found.get("api_key") if isinstance(found, dict) else None
    return key if isinstance(key, str) and len(key) >= _SHORTEST else ""


def redact(text: str) -> str:
    """The text without any remembered secret."""
    for secret in _known:
        text = text.replace(secret, _MASK)
    return text


def printable(text: str) -> str:
    """Data as a person may see it: what would steer the terminal or break the line is replaced."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def escaped(document: str) -> str:
    """A JSON document whose texts keep their meaning and hold nothing that would steer a terminal."""
    if document.replace("\n", "").isprintable():
        return document
    return "".join(c if c == "\n" or c.isprintable() else _escape(c) for c in document)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def one_line(text: str, most: int | None = None) -> str:
    """A message of whatever origin as a single line without credentials, of at most this many characters.

    Credentials go first: one that was cut can no longer be recognised.
    """
    line = printable(redact(" ".join(text.split())))
    return line if most is None or len(line) <= most else line[:most] + "…"
