"""Whether files of the installed wandb may be written without its SDK.

Two facts decide: the version, as the framing and the rules of the reader have no description that could be
asked, and wandb's protobuf classes, which must read a row of ours as it is meant.
"""

from __future__ import annotations

import re

from wandb import __version__ as version

from neptune_exporter_wandb.wire import ItemHeads, row_record

OLDEST, NEWEST = (0, 30), (0, 31)
"""Files of these versions were read, and files of ours were read and sent by them."""


def unknown_format() -> str | None:
    """Why the installed wandb must write itself; None if its format is known."""
    if not OLDEST <= _numbers(version) <= NEWEST:
        known = " to ".join(".".join(map(str, each)) for each in (OLDEST, NEWEST))
        return f"wandb {version} is not among the versions whose files are known ({known})"
    if not reads_our_rows():
        return f"the protobuf classes of wandb {version} have other fields"
    return None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


def reads_our_rows() -> bool:
    """Whether wandb's classes read a row of ours as it is meant."""
    row = row_record(ItemHeads("a/b")[3] + b"0.5" + ItemHeads("h", "bins")[1] + b"1", 3, 7)
    try:
        from wandb.proto import wandb_internal_pb2 as pb

        expected = pb.Record(num=7, history=pb.HistoryRecord(step=pb.HistoryStep(num=3)))
        expected.history.item.add(nested_key=["a/b"], value_json="0.5")
        expected.history.item.add(nested_key=["h", "bins"], value_json="1")
        return bool(pb.Record.FromString(row) == expected)
    except (ImportError, AttributeError, ValueError):
        return False
