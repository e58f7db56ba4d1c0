"""The content types that Pluto signs into upload addresses."""

from __future__ import annotations

_CONTENT_TYPES = {
    **dict.fromkeys(("jpeg", "jpg"), "image/jpeg"),
    **{extension: f"image/{extension}" for extension in ("png", "gif", "webp")},
    "svg": "image/svg+xml",
    **{extension: f"video/{extension}" for extension in ("mp4", "webm")},
    "avi": "video/x-msvideo",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "wav": "audio/x-wav",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "txt": "text/plain",
    "json": "application/json",
    "csv": "text/csv",
    "xml": "application/xml",
    **dict.fromkeys(("yaml", "yml"), "application/x-yaml"),
    "h5": "application/x-hdf5",
    **dict.fromkeys(("onnx", "pkl", "tflite", "savedmodel", "pt", "ckpt"), "application/octet-stream"),
}
NO_EXTENSION = "application/octet-stream"


def content_type(extension: str) -> str:
    """What Pluto signs into the upload address of a file type, which the upload must repeat.

    Known extensions have a type; any other is taken for the content type itself
    (pluto-server, `ingest/src/models/files.rs`).
    """
    return _CONTENT_TYPES.get(extension, extension) if extension else NO_EXTENSION
