"""Names of files: unique for every attribute, step and ordinal, valid on every file system, and readable."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from decimal import Decimal

_READABLE_BYTES = 80
"""Bytes of the part of a name by which a person recognises the file."""
_OURS = re.compile(r"[^/]*-[0-9a-f]{16}(/step_[^/]*-[0-9a-f]{16})?(-[0-9a-f]{16})?(\.[^/]*)?")
_EXTENSION = re.compile(r"(\.tar)?\.[A-Za-z0-9]{1,16}$")


def file_name(attribute_path: str, name: str, step: Decimal | float | None, ordinal: int) -> str:
    """The path of a file in its run's folder, with `/`.

    The digest makes the name unique, also on file systems that ignore case or the form of accents. Every
    component has it, so that none is a reserved word, ends in a dot or is `..`. The rest of the name is for
    people.
    """
    extension = _extension(name) or _extension(attribute_path)
    label = cleaned(attribute_path.removesuffix(extension) if extension else attribute_path)
    given = cleaned(name.rpartition("/")[2].removesuffix(extension))
    if step is None:
        if given and not label.endswith(given):
            label = f"{cleaned(label, 48)}__{cleaned(given, 30)}"
        return f"{label}-{digest('file', attribute_path, '', ordinal)}{extension}"
    folder = f"{label}-{digest('series', attribute_path, '', 0)}"
    number = step_id(step)
    leaf = f"step_{cleaned(number)}-{digest('file', attribute_path, number, ordinal)}"
    return f"{folder}/{leaf}{extension}"


def is_ours(name: str) -> bool:
    """Whether a path in a run's folder may come from `file_name`, or is a variant of such a path. Other
    tools' paths have no digest."""
    return _OURS.fullmatch(name) is not None


def step_id(step: Decimal | float) -> str:
    """The same text for equal numbers of any type: 1, 1.0 and 1.000000 are one step."""
    number = step if isinstance(step, Decimal) else Decimal(repr(float(step)))
    if not number.is_finite():
        return str(number)
    return format(number.normalize(), "f") if number else "0"


def digest(*what: object) -> str:
    """Sixteen hex digits that depend on everything in which two files may differ."""
    text = "\0".join(f"{len(str(part))}:{part}" for part in what)
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def cleaned(text: str, limit: int = _READABLE_BYTES) -> str:
    """Only letters, digits, `-` and `_`, at most `limit` bytes, and unchanged by any normalisation.

    Letters lose their accents, because a file system may store accents in another form than they were
    written, and a recorded name must be found again.
    """
    plain = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    result = "".join(c if c.isalnum() or c in "-_" else "_" for c in plain).strip("_")
    if not unicodedata.is_normalized("NFC", result):
        result = "".join(c if c.isascii() else "_" for c in result)
    return result.encode()[:limit].decode(errors="ignore")


def _extension(name: str) -> str:
    match = _EXTENSION.search(name.rpartition("/")[2])
    return match[0] if match else ""
