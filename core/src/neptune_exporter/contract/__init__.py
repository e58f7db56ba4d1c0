"""The contract between core and plugins: everything a plugin author imports.

Nothing here imports pyarrow or a vendor's SDK, so that registering stays fast.
"""

from neptune_exporter.contract.certificates import check_certificates
from neptune_exporter.contract.errors import (
    AuthenticationError,
    DatasetError,
    MissingDependencyError,
    MissingFileError,
    NeptuneExporterError,
    SinkError,
    SourceError,
    UnreadError,
    UnsafePathError,
    UsageError,
)
from neptune_exporter.contract.failpoints import failpoint
from neptune_exporter.contract.failures import AttributeFailure, Loss
from neptune_exporter.contract.files import FileWriter, OpenFile, StoredFile
from neptune_exporter.contract.reporter import (
    DatasetSummary,
    ProjectSummary,
    Reporter,
    RunSummary,
    StepStatistics,
)
from neptune_exporter.contract.retrying import (
    AWAY_STATUSES,
    TRANSIENT_STATUSES,
    AwayError,
    Patience,
    TransientError,
    retry_after,
)
from neptune_exporter.contract.rows import (
    FileEntry,
    Histogram,
    Parameter,
    ParameterValue,
    Point,
    Row,
    Step,
    TextLine,
    parameters_by_path,
)
from neptune_exporter.contract.run import ExportedRun, TypeCount
from neptune_exporter.contract.selection import AttributeRequest, AttributeSelection, RunSelection
from neptune_exporter.contract.settings import NoSettings, Secret, SettingInfo, setting
from neptune_exporter.contract.sink import Comparison, LoadedRun, LoadOptions, Sink, Verdict
from neptune_exporter.contract.source import (
    ReadEvent,
    RunDone,
    RunRequest,
    RunRows,
    Source,
    SourceRun,
    chunked,
)
from neptune_exporter.contract.specs import (
    API_VERSION,
    ReporterSpec,
    SinkCapabilities,
    SinkSpec,
    SourceCapabilities,
    SourceSpec,
)
from neptune_exporter.contract.streaks import Streaks
from neptune_exporter.contract.text import clean
from neptune_exporter.contract.transfer import Body, WrongSizeError, receive
from neptune_exporter.contract.turn import turn
from neptune_exporter.hookspecs import hookimpl
from neptune_exporter.interruption import pause
from neptune_exporter.redaction import one_line

__all__ = [
    "API_VERSION",
    "AWAY_STATUSES",
    "TRANSIENT_STATUSES",
    "AttributeFailure",
    "AttributeRequest",
    "AttributeSelection",
    "AuthenticationError",
    "AwayError",
    "Body",
    "Comparison",
    "DatasetError",
    "DatasetSummary",
    "ExportedRun",
    "FileEntry",
    "FileWriter",
    "Histogram",
    "LoadOptions",
    "LoadedRun",
    "Loss",
    "MissingDependencyError",
    "MissingFileError",
    "NeptuneExporterError",
    "NoSettings",
    "OpenFile",
    "Parameter",
    "ParameterValue",
    "Patience",
    "Point",
    "ProjectSummary",
    "ReadEvent",
    "Reporter",
    "ReporterSpec",
    "Row",
    "RunDone",
    "RunRequest",
    "RunRows",
    "RunSelection",
    "RunSummary",
    "Secret",
    "SettingInfo",
    "Sink",
    "SinkCapabilities",
    "SinkError",
    "SinkSpec",
    "Source",
    "SourceCapabilities",
    "SourceError",
    "SourceRun",
    "SourceSpec",
    "Step",
    "StepStatistics",
    "StoredFile",
    "Streaks",
    "TextLine",
    "TransientError",
    "TypeCount",
    "UnreadError",
    "UnsafePathError",
    "UsageError",
    "Verdict",
    "WrongSizeError",
    "check_certificates",
    "chunked",
    "clean",
    "failpoint",
    "hookimpl",
    "one_line",
    "parameters_by_path",
    "pause",
    "receive",
    "retry_after",
    "setting",
    "turn",
]
