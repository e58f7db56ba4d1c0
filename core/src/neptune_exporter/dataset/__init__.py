"""The open dataset on disk: layout, writer, reader, receipts, verification."""

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
