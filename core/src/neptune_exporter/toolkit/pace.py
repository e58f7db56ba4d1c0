"""A least rate for answers: a server that sends a byte now and then never runs into a timeout.

Independent of any HTTP library: whoever reads a body passes its pieces through `paced` as they come.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from neptune_exporter.toolkit.retrying import TransientError

LEAST_RATE = 100
"""Bytes a second, far below what any line gives that an export could be made over. So an answer of known size
takes at most its size divided by this, and one that drips is given up after the first `seconds`."""


class SlowError(TransientError):
    """The answer came slower than the least rate. What it brought does not renew patience."""


def paced(chunks: Iterable[bytes], seconds: float) -> Iterator[bytes]:
    """The same pieces, as long as their average rate over a window is at least the least rate.

    The pieces must be given as they come from the network: a buffer that fills up first hides a drip.

    Raises:
        SlowError: they do not.
    """
    begin, size = time.monotonic(), 0
    for chunk in chunks:
        size += len(chunk)
        took = time.monotonic() - begin
        if took >= seconds:
            if size < LEAST_RATE * took:
                raise SlowError(f"the server sent only {size:,} bytes in {took:.0f} s")
            begin, size = time.monotonic(), 0
        yield chunk
