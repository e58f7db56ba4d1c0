"""A local Neptune 2 server for tests and benchmarks, which the unmodified `neptune` client talks to.

    with serving(FakeProject("team", "cats")) as server:
        ...  # put server.environment into the environment, then use the client

`python -m neptune_exporter_neptune2.testing --help` runs one as its own process.
"""

from neptune_exporter.testing.loopback import Fault
from neptune_exporter_neptune2.testing.attributes import (
    Artifact,
    ArtifactFile,
    Attribute,
    Bool,
    Datetime,
    File,
    FileSet,
    Float,
    FloatSeries,
    GitRef,
    Image,
    ImageSeries,
    Int,
    NotebookRef,
    RunState,
    String,
    StringSeries,
    StringSet,
    Unknown,
)
from neptune_exporter_neptune2.testing.project import FakeContainer, FakeProject
from neptune_exporter_neptune2.testing.server import Neptune2Server, on_attribute, serving, token_expired
from neptune_exporter_neptune2.testing.store import Options
from neptune_exporter_neptune2.testing.synthetic import synthetic_project

__all__ = [
    "Artifact",
    "ArtifactFile",
    "Attribute",
    "Bool",
    "Datetime",
    "FakeContainer",
    "FakeProject",
    "Fault",
    "File",
    "FileSet",
    "Float",
    "FloatSeries",
    "GitRef",
    "Image",
    "ImageSeries",
    "Int",
    "Neptune2Server",
    "NotebookRef",
    "Options",
    "RunState",
    "String",
    "StringSeries",
    "StringSet",
    "Unknown",
    "on_attribute",
    "serving",
    "synthetic_project",
    "token_expired",
]
