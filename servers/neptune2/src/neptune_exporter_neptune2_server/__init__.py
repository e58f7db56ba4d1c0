"""A local Neptune 2 server for tests and benchmarks, which the unmodified `neptune` client talks to.

    with serving(FakeProject("team", "cats")) as server:
        ...  # put server.environment into the environment, then use the client

`python -m neptune_exporter_neptune2_server --help` runs one as its own process.
"""

from neptune_exporter.testing.loopback import Fault
from neptune_exporter_neptune2_server.attributes import (
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
from neptune_exporter_neptune2_server.project import FakeContainer, FakeProject
from neptune_exporter_neptune2_server.server import (
    Neptune2Server,
    on_attribute,
    serving,
    token_expired,
    token_malformed,
)
from neptune_exporter_neptune2_server.store import Options
from neptune_exporter_neptune2_server.synthetic import synthetic_project

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
    "token_malformed",
]
