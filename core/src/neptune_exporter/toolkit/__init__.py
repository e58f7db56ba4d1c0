"""What a source or a loader may use for its own work: retrying, downloads, redaction, waits, look-ahead.

`http_errors` and `connections` are imported as modules of their own: only what speaks HTTP needs them.

Nothing here imports pyarrow, an HTTP library or a vendor's SDK.
"""

from neptune_exporter.interruption import pause
from neptune_exporter.redaction import one_line
from neptune_exporter.toolkit.environment import check_certificates, check_proxies
from neptune_exporter.toolkit.failpoints import failpoint
from neptune_exporter.toolkit.look_ahead import look_ahead, read_ahead
from neptune_exporter.toolkit.pace import SlowError
from neptune_exporter.toolkit.retrying import (
    AWAY_STATUSES,
    TRANSIENT_STATUSES,
    AwayError,
    Patience,
    TransientError,
    retry_after,
)
from neptune_exporter.toolkit.streaks import Streaks
from neptune_exporter.toolkit.text import clean, first_line
from neptune_exporter.toolkit.transfer import Body, WrongSizeError, receive
from neptune_exporter.toolkit.turn import turn
from neptune_exporter.toolkit.waiting import longest_wait, waiting_for

__all__ = [
    "AWAY_STATUSES",
    "TRANSIENT_STATUSES",
    "AwayError",
    "Body",
    "Patience",
    "SlowError",
    "Streaks",
    "TransientError",
    "WrongSizeError",
    "check_certificates",
    "check_proxies",
    "clean",
    "failpoint",
    "first_line",
    "longest_wait",
    "look_ahead",
    "one_line",
    "pause",
    "read_ahead",
    "receive",
    "retry_after",
    "turn",
    "waiting_for",
]
