"""What a run is made of: attribute types, classes, and the identity of a run.

Imports nothing heavy, so that plugins can register without importing pyarrow.
The table schema is in `neptune_exporter.schema`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class AttributeType(str, Enum):
    """The `attribute_type` column. `file_set` and `artifact` exist in Neptune 2.x only.

    Examples:
        >>> kind = AttributeType("float_series")
        >>> kind.attribute_class, kind.is_series
        (<AttributeClass.METRICS: 'metrics'>, True)
    """

    FLOAT = "float"
    INT = "int"
    STRING = "string"
    BOOL = "bool"
    DATETIME = "datetime"
    STRING_SET = "string_set"
    FLOAT_SERIES = "float_series"
    STRING_SERIES = "string_series"
    HISTOGRAM_SERIES = "histogram_series"
    FILE = "file"
    FILE_SERIES = "file_series"
    FILE_SET = "file_set"
    ARTIFACT = "artifact"

    __str__ = str.__str__

    @property
    def attribute_class(self) -> AttributeClass:
        return _CLASS_OF[self]

    @property
    def is_series(self) -> bool:
        """Whether an attribute of this type has a row per step."""
        return self in SERIES_TYPES


class AttributeClass(str, Enum):
    """What `--classes` and `--exclude` name.

    Examples:
        >>> sorted(map(str, AttributeClass.FILES.types))
        ['artifact', 'file', 'file_series', 'file_set']
    """

    PARAMETERS = "parameters"
    METRICS = "metrics"
    SERIES = "series"
    FILES = "files"

    __str__ = str.__str__

    @property
    def types(self) -> frozenset[AttributeType]:
        return frozenset(t for t, c in _CLASS_OF.items() if c is self)


_CLASS_OF = {
    AttributeType(name): of_types
    for of_types, names in {
        AttributeClass.PARAMETERS: "float int string bool datetime string_set",
        AttributeClass.METRICS: "float_series",
        AttributeClass.SERIES: "string_series histogram_series",
        AttributeClass.FILES: "file file_series file_set artifact",
    }.items()
    for name in names.split()
}

PARAMETER_TYPES = AttributeClass.PARAMETERS.types
FILE_TYPES = AttributeClass.FILES.types
FILE_TYPE_NAMES = frozenset(kind.value for kind in FILE_TYPES)
"""As the column `attribute_type` has them, which may also hold types that this version does not know."""
TYPE_NAMES = frozenset(kind.value for kind in AttributeType)
SERIES_TYPES = frozenset(kind for kind in AttributeType if kind.value.endswith("_series"))

ALL_CLASSES = frozenset(AttributeClass)


class RunKind(str, Enum):
    """What a Neptune container is; models and model versions exist in Neptune 2.x only.

    Examples:
        >>> str(RunKey("acme/vision", "VIS-MOD", RunKind.MODEL))
        'acme/vision:VIS-MOD (model)'
    """

    RUN = "run"
    MODEL = "model"
    MODEL_VERSION = "model_version"

    __str__ = str.__str__


@dataclass(frozen=True, order=True)
class RunKey:
    """The identity of a run (or model, or model version) across the whole system.

    Examples:
        >>> key = RunKey("acme/vision", "RUN-1")
        >>> str(key)  # in this form errors and reports name a run
        'acme/vision:RUN-1'
    """

    project_id: str
    """The Neptune project path, `workspace/project`."""
    run_id: str
    """`sys/custom_run_id` in Neptune 3.x, `sys/id` in 2.x."""
    kind: RunKind = RunKind.RUN

    def __str__(self) -> str:
        what = "" if self.kind is RunKind.RUN else f" ({self.kind})"
        return f"{self.project_id}:{self.run_id}{what}"


def workspace_and_project(project_id: str) -> tuple[str, str]:
    """The parts of `workspace/project`. An id that has only one of them is all project.

    Neptune puts no slash into either name (`neptune.common.patterns` of neptune 1.14), so the first one
    divides them.

    Examples:
        >>> workspace_and_project("acme/vision"), workspace_and_project("vision")
        (('acme', 'vision'), ('', 'vision'))
    """
    workspace, _, project = project_id.partition("/")
    return (workspace, project) if project else ("", project_id)


class SysAttribute:
    """Attributes that Neptune itself keeps and that more than one part of the system reads.

    Examples:
        >>> run.parameters()[SysAttribute.NAME].value
        'baseline'
    """

    NAME = "sys/name"
    ID = "sys/id"
    CUSTOM_RUN_ID = "sys/custom_run_id"
    CREATION_TIME = "sys/creation_time"
    MODIFICATION_TIME = "sys/modification_time"
    FAILED = "sys/failed"
    STATE = "sys/state"
    TAGS = "sys/tags"
    GROUP_TAGS = "sys/group_tags"
    DESCRIPTION = "sys/description"
    ARCHIVED = "sys/archived"
    TRASHED = "sys/trashed"
    FORK_PARENT = "sys/forking/parent"
    FORK_STEP = "sys/forking/step"
