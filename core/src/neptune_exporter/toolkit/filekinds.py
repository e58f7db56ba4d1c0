"""What a file is to a person: by its first bytes, then by its extension."""

from __future__ import annotations

from dataclasses import dataclass

HEAD_BYTES = 4_096
"""How much of a file `kind_of` wants to see: signatures are in the first 16 bytes, the rest tells text."""

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpg"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (8, b"WEBP", "webp"),
    (0, b"BM", "bmp"),
    (8, b"WAVE", "wav"),
    (8, b"AVI ", "avi"),
    (0, b"ID3", "mp3"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (4, b"ftyp", "mp4"),
    (0, b"\x1aE\xdf\xa3", "webm"),
    (0, b"%PDF-", "pdf"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"\x1f\x8b", "gz"),
)
_BMP_HEADERS = {size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)}
"""Sizes of the header that follows: two letters prove little."""
_RIFF = {"webp", "wav", "avi"}

_TYPES = {
    "image": {"png", "jpg", "jpeg", "gif", "webp", "bmp", "svg", "tif", "tiff"},
    "audio": {"wav", "mp3", "flac", "ogg", "m4a", "aac"},
    "video": {"mp4", "webm", "avi", "mov", "mkv", "m4v"},
    "text": {"txt", "log", "md", "csv", "tsv", "json", "yaml", "yml", "toml", "ini", "cfg", "out", "err"}
    | {"py", "sh", "html", "xml", "ipynb", "diff", "patch", "rst"},
}
_TYPE_OF = {extension: media for media, extensions in _TYPES.items() for extension in extensions}
_SAME = ({"mp4", "mov", "m4v", "m4a"}, {"webm", "mkv"}, {"jpg", "jpeg"}, {"ogg"})


@dataclass(frozen=True)
class FileKind:
    """`media` is image, audio, video, text or artifact; `extension` has no dot and may be empty.

    Examples:
        >>> FileKind("text", "csv").media
        'text'
    """

    media: str
    extension: str


def kind_of(name: str, head: bytes) -> FileKind:
    """What a file is.

    Args:
        name: Its name, perhaps without an extension.
        head: Its first `HEAD_BYTES` bytes, or all of it.

    Examples:
        >>> kind_of("chart", b"GIF89a")
        FileKind(media='image', extension='gif')
    """
    extension = _extension(name)
    if (found := _sniffed(head)) is not None:
        extension = extension if _may_be(found, extension) else found
        return FileKind(_TYPE_OF.get(extension, "artifact"), extension)
    if extension in _TYPES["text"] or extension == "svg":
        return FileKind(_TYPE_OF[extension] if _is_text(head) else "artifact", extension)
    if not extension and head and _is_text(head):
        return FileKind("text", "txt")
    return FileKind("artifact", extension)


def _extension(name: str) -> str:
    """In small letters; empty if the name has none, or one that is none of a file type."""
    stem, _, extension = name.rpartition(".")
    # An extension can become a header of the upload, which takes ASCII only.
    is_one = stem and extension.isascii() and extension.isalnum() and len(extension) <= 12
    return extension.lower() if is_one else ""


def _may_be(found: str, extension: str) -> bool:
    """Whether a file with this signature may have this extension."""
    is_known = bool(extension) and _TYPE_OF.get(extension) == _TYPE_OF.get(found)
    return is_known or any({found, extension} <= same for same in _SAME)


def _sniffed(head: bytes) -> str | None:
    for offset, magic, found in _MAGIC:
        if head[offset : offset + len(magic)] != magic or (found in _RIFF and head[:4] != b"RIFF"):
            continue
        if found == "bmp" and head[14:18] not in _BMP_HEADERS:
            continue
        return found
    return None


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 4 and len(head) >= HEAD_BYTES - 4
    return True
