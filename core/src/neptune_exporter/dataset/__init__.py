"""The open dataset on disk: layout, writer, reader, receipts, verification."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neptune_exporter.dataset.check.advice import advice, advice_on_failure
    from neptune_exporter.dataset.check.findings import Finding, Severity
    from neptune_exporter.dataset.check.recording import RunRecorded, has_no_checksums, record
    from neptune_exporter.dataset.check.run_check import RunChecked, RunChecker
    from neptune_exporter.dataset.check.summary import summarise
    from neptune_exporter.dataset.check.verification import CheckRuns, NotChecked, verify
    from neptune_exporter.dataset.dataset import Dataset, Recovery
    from neptune_exporter.dataset.format.receipts import Fork, PartRecord, Receipt
    from neptune_exporter.dataset.format.storages import storage_at
    from neptune_exporter.dataset.read.listing import NOT_READ
    from neptune_exporter.dataset.read.of_many_runs import parameters_of
    from neptune_exporter.dataset.read.run_folder import ListedRun, RunFolder, RunState
    from neptune_exporter.dataset.read.stored_run import StoredRun
    from neptune_exporter.dataset.write.budget import WriteBudget
    from neptune_exporter.dataset.write.buffer import RowsError
    from neptune_exporter.dataset.write.merging import Stays
    from neptune_exporter.dataset.write.writer import ReadyRun, RunWriter

_NAMES = {
    "check.advice": ("advice", "advice_on_failure"),
    "check.findings": ("Finding", "Severity"),
    "check.recording": ("RunRecorded", "has_no_checksums", "record"),
    "check.run_check": ("RunChecked", "RunChecker"),
    "check.summary": ("summarise",),
    "check.verification": ("CheckRuns", "NotChecked", "verify"),
    "dataset": ("Dataset", "Recovery"),
    "format.receipts": ("Fork", "PartRecord", "Receipt"),
    "format.storages": ("storage_at",),
    "read.listing": ("NOT_READ",),
    "read.of_many_runs": ("parameters_of",),
    "read.run_folder": ("ListedRun", "RunFolder", "RunState"),
    "read.stored_run": ("StoredRun",),
    "write.budget": ("WriteBudget",),
    "write.buffer": ("RowsError",),
    "write.merging": ("Stays",),
    "write.writer": ("ReadyRun", "RunWriter"),
}
"""The same again: a module is imported once it is needed, because the process that probes parts
(`read.probe`) starts in three quarters of the time without the others."""
_MODULE = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:  # else any name would pass the check of types

    def __getattr__(name: str) -> Any:
        if name in _MODULE:
            return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
