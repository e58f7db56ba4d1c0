"""Sends lines that Pluto never deduplicates: each line exactly once, also after interruptions.

Before a request is sent, the journal records how far it will reach; after Pluto's answer, that it arrived. If
the process is killed or the connection breaks in between, the request is uncertain. For logs Pluto can say
how many lines it has; for everything else it cannot.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import pyarrow as pa

from neptune_exporter.contract import AuthenticationError
from neptune_exporter.toolkit import failpoint
from neptune_exporter_pluto.entries import Entries, Stream
from neptune_exporter_pluto.form.content import Content
from neptune_exporter_pluto.form.text import lines_of
from neptune_exporter_pluto.service.pipeline import settled
from neptune_exporter_pluto.service.transport import OutOfPatienceError, UncertainError
from neptune_exporter_pluto.state.journal import Journal
from neptune_exporter_pluto.state.open_run import OpenRun, StartAgainError

BODY_BYTES = 1 << 20


class OrderedIngest:
    """One stream of one run.

    Args:
        kind: Route below `/ingest/`, and the name in the journal.
        send: Posts this many lines; raises UncertainError if it is unknown whether they arrived.
        total: Returns how many lines Pluto shows; None if Pluto cannot say.
        patience: Seconds to wait until lines can be read back.
    """

    def __init__(
        self,
        kind: str,
        journal: Journal,
        send: Callable[[bytes, int], None],
        total: Callable[[], int] | None,
        patience: float,
    ) -> None:
        self._kind = kind
        self._journal = journal
        self._send = send
        self._total = total
        self._patience = patience
        self._progress = journal.begun
        self._sent = sys.maxsize if self._progress.reopened else self._progress.sent.get(kind, 0)
        self._passed = 0
        self._held: list[pa.Array] = []
        self._held_bytes = 0
        if kind in self._progress.sending:
            self._find_position()

    @property
    def resolved(self) -> bool:
        """Whether this load or an earlier one had to find a position by reading back."""
        return self._kind in self._progress.found

    @property
    def lines(self) -> int:
        """How many lines the stream has so far, sent now or earlier."""
        return self._passed + sum(len(lines) for lines in self._held)

    def add(self, lines: pa.Array) -> None:
        """Add the next lines, each with its line break. Skips lines that Pluto has. Raises StartAgainError if
        it is unknown what Pluto has."""
        known = min(max(self._sent - self.lines, 0), len(lines))
        if known:
            self._passed += known
            lines = lines[known:]
        if len(lines):
            self._held.append(lines)
            self._held_bytes += lines.nbytes
            if self._held_bytes >= BODY_BYTES:
                self.flush()

    def flush(self) -> None:
        while self._held:
            lines = pa.concat_arrays(self._held) if len(self._held) > 1 else self._held[0]
            upto = self._passed + len(lines)
            self._journal.note("sending", durable=True, stream=self._kind, upto=upto)
            failpoint(f"pluto.{self._kind}-announced")
            try:
                self._send(bytes(lines_of(lines)), len(lines))
            except (AuthenticationError, OutOfPatienceError):  # Pluto has certainly not taken it
                self._journal.note("unsent", stream=self._kind)
                raise
            except UncertainError:
                self._find_position()
            else:
                failpoint(f"pluto.{self._kind}-sent")
                self._arrived(upto)
            taken = self._sent - self._passed
            self._passed = self._sent
            rest = lines[taken:]
            self._held = [rest] if len(rest) else []
            self._held_bytes = rest.nbytes if len(rest) else 0

    def _arrived(self, upto: int, **how: bool) -> None:
        self._journal.note("sent", stream=self._kind, upto=upto, **how)
        self._sent = upto

    def _find_position(self) -> None:
        """Find out how much of the last request Pluto has."""
        if self._total is None:
            raise StartAgainError(f"it is unknown whether Pluto took the last {self._kind} rows")
        low, high = self._sent, self._progress.sending[self._kind]
        found = settled(self._total, high, self._patience)
        if not low <= found <= high:
            raise StartAgainError(f"Pluto shows {found} log lines, where {low} to {high} were sent")
        self._arrived(found, found=True)


def send_entries(work: OpenRun, content: Content) -> tuple[Entries, dict[str, int]]:
    """Send string series, console lines and histograms; returns them, and how many there were. Raises
    StartAgainError if it is unknown what Pluto has of them."""
    api, project, run_id = work.session.api, work.target.project, work.run_id
    patience = work.session.settings.visible_within
    total = partial(api.log_total, project, run_id)

    def stream(kind: Stream, total: Callable[[], int] | None) -> OrderedIngest:
        send = partial(api.ingest, kind, project, run_id, repeatable=False)
        return OrderedIngest(kind, work.journal, send, total, patience)

    streams = {"data": stream("data", None), "logs": stream("logs", total)}
    entries = Entries(content)
    for kind, lines in entries.lines():
        streams[kind].add(lines)
    for each in streams.values():
        each.flush()
    sent = streams["logs"].lines
    if streams["logs"].resolved and (found := settled(total, sent, patience)) != sent:
        raise StartAgainError(f"Pluto shows {found} log lines where {sent} were sent")
    return entries, {
        "string series entries": entries.counts["string series entries"],
        "log lines": sent,
        "histograms": entries.counts["histograms"],
        "tables": entries.counts["tables"],
    }
