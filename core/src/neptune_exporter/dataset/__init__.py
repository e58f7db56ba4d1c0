"""The open dataset on disk: layout, writer, reader, receipts, verification."""

from neptune_exporter.dataset.budget import WriteBudget
from neptune_exporter.dataset.buffer import RowsError
from neptune_exporter.dataset.dataset import Dataset, Recovery
from neptune_exporter.dataset.earlier import Earlier
from neptune_exporter.dataset.older import NOTHING
from neptune_exporter.dataset.publication import FAILPOINTS
from neptune_exporter.dataset.receipts import Fork, PartRecord, Receipt
from neptune_exporter.dataset.run import StoredRun
from neptune_exporter.dataset.summary import summarise
from neptune_exporter.dataset.verification import Finding, RunChecked, Severity, verify
from neptune_exporter.dataset.writer import ReadyRun, RunWriter

__all__ = [
    "FAILPOINTS",
    "NOTHING",
    "Dataset",
    "Earlier",
    "Finding",
    "Fork",
    "PartRecord",
    "ReadyRun",
    "Receipt",
    "Recovery",
    "RowsError",
    "RunChecked",
    "RunWriter",
    "Severity",
    "StoredRun",
    "WriteBudget",
    "summarise",
    "verify",
]
