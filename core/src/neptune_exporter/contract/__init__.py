"""The contract between core and plugins: everything a plugin author imports.

Nothing here imports pyarrow or a vendor's SDK, so that registering stays fast.
"""

from neptune_exporter.contract.failures import AttributeFailure, Loss, UnreadError
from neptune_exporter.contract.files import FileWriter, OpenFile, StoredFile
from neptune_exporter.contract.reporter import (
    DatasetSummary,
    ProjectSummary,
    Reporter,
    RunSummary,
    StepStatistics,
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
    RunSize,
    Source,
    SourceRun,
    chunked,
)
from neptune_exporter.contract.specs import (
    API_VERSION,
    CommandSpec,
    EqualPoints,
    ReporterSpec,
    SinkCapabilities,
    SinkSpec,
    SourceCapabilities,
    SourceSpec,
)
from neptune_exporter.contract.view import AttributeInfo, DatasetView, RunView, StepRange, TimeRange
from neptune_exporter.errors import (
    AuthenticationError,
    DatasetError,
    MissingDependencyError,
    MissingFileError,
    NeptuneExporterError,
    QueryError,
    SinkError,
    SourceError,
    UnknownProjectError,
    UnsafePathError,
    UsageError,
)
from neptune_exporter.hookspecs import hookimpl

__all__ = [
    "API_VERSION",
    "AttributeFailure",
    "AttributeInfo",
    "AttributeRequest",
    "AttributeSelection",
    "AuthenticationError",
    "CommandSpec",
    "Comparison",
    "DatasetError",
    "DatasetSummary",
    "DatasetView",
    "EqualPoints",
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
    "Point",
    "ProjectSummary",
    "QueryError",
    "ReadEvent",
    "Reporter",
    "ReporterSpec",
    "Row",
    "RunDone",
    "RunRequest",
    "RunRows",
    "RunSelection",
    "RunSize",
    "RunSummary",
    "RunView",
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
    "StepRange",
    "StepStatistics",
    "StoredFile",
    "TextLine",
    "TimeRange",
    "TypeCount",
    "UnknownProjectError",
    "UnreadError",
    "UnsafePathError",
    "UsageError",
    "Verdict",
    "chunked",
    "hookimpl",
    "parameters_by_path",
    "setting",
]
