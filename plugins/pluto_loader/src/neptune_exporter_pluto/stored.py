"""Whether a storage says that it has stored what was put there."""

from __future__ import annotations

import re

import httpx

from neptune_exporter_pluto.answers import shown

_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_ENCRYPTION = "x-amz-server-side-encryption"
_PLAIN = ("", "AES256")
"""Values of that header with which the ETag is the MD5 of the object."""


def not_stored(response: httpx.Response, md5: str) -> str | None:
    """What is wrong with the successful answer of a PUT to a presigned address; None if it proves the upload.

    S3's PutObject answers with an ETag and no body, and so do the stores that speak its protocol. By the API
    reference of S3 the ETag is the MD5 of the object when it was put in one piece and is stored in plain or
    under SSE-S3. Under SSE-KMS and SSE-C, of which headers of the answer tell, and in directory buckets it is
    something else of the same look. MinIO without strict compatibility gives random ETags that end in `-1`.

    Args:
        md5: Of what was sent, in hexadecimal.
    """
    where = response.url.host
    tag = response.headers.get("etag", "").removeprefix("W/").strip('"')
    if not tag:
        return f"{where} answered {response.status_code} without the ETag of S3: {shown(response.content)}"
    if _is_md5(response, tag):
        if tag.lower() == md5:
            return None
        return f"{where} has stored other bytes: their MD5 is {tag.lower()}, that of the file {md5}"
    if response.content.strip():
        return f"{where} answered {response.status_code}, but not as S3 does: {shown(response.content)}"
    return None


def _is_md5(response: httpx.Response, tag: str) -> bool:
    if not _MD5.fullmatch(tag) or ".s3express-" in response.url.host:
        return False
    keyed = any(name.startswith(f"{_ENCRYPTION}-customer-") for name in response.headers)
    return not keyed and response.headers.get(_ENCRYPTION, "") in _PLAIN
