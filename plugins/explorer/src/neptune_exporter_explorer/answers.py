"""Answers as JSON, which has no NaN; JavaScript has no integer beyond 2**53. Both come as an object."""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.responses import Response

_EXACT = 2**53

_ODD = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


class Json(Response):
    """JSON of anything that the pages show. A number that JSON or JavaScript lacks is `{"number": text}`."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(plain(content), ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()


def plain(value: Any) -> Any:
    """The value as JSON can hold it.

    Examples:
        >>> plain([float("nan"), 2**60])
        [{'number': 'NaN'}, {'number': '1152921504606846976'}]
    """
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": _ODD[str(float(value))]}
    if isinstance(value, int) and abs(value) > _EXACT:
        return {"number": str(value)}
    return value
