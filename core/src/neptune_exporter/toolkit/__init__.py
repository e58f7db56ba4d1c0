"""What a source or a loader may use for its own work: retrying, downloads, redaction, waits, look-ahead.

`http_errors` and `connections` are imported as modules of their own: only what speaks HTTP needs them.

Nothing here imports pyarrow, an HTTP library or a vendor's SDK.
"""

from neptune_exporter.interruption import pause as pause
from neptune_exporter.redaction import one_line as one_line
from neptune_exporter.toolkit.environment import check_certificates as check_certificates
from neptune_exporter.toolkit.environment import check_proxies as check_proxies
from neptune_exporter.toolkit.failpoints import failpoint as failpoint
from neptune_exporter.toolkit.look_ahead import look_ahead as look_ahead
from neptune_exporter.toolkit.look_ahead import read_ahead as read_ahead
from neptune_exporter.toolkit.pace import SlowError as SlowError
from neptune_exporter.toolkit.retrying import AWAY_STATUSES as AWAY_STATUSES
from neptune_exporter.toolkit.retrying import TRANSIENT_STATUSES as TRANSIENT_STATUSES
from neptune_exporter.toolkit.retrying import AwayError as AwayError
from neptune_exporter.toolkit.retrying import Patience as Patience
from neptune_exporter.toolkit.retrying import TransientError as TransientError
from neptune_exporter.toolkit.retrying import retry_after as retry_after
from neptune_exporter.toolkit.streaks import Streaks as Streaks
from neptune_exporter.toolkit.text import clean as clean
from neptune_exporter.toolkit.text import first_line as first_line
from neptune_exporter.toolkit.transfer import Body as Body
from neptune_exporter.toolkit.transfer import WrongSizeError as WrongSizeError
from neptune_exporter.toolkit.transfer import receive as receive
from neptune_exporter.toolkit.turn import turn as turn
from neptune_exporter.toolkit.waiting import longest_wait as longest_wait
from neptune_exporter.toolkit.waiting import waiting_for as waiting_for
