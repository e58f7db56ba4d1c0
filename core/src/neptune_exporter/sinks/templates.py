"""Names of projects and groups in a target, by templates that a user can change.

Imports nothing heavy, so that settings may use it.
"""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING

from neptune_exporter.contract import UsageError
from neptune_exporter.model import workspace_and_project

if TYPE_CHECKING:
    from neptune_exporter.sinks.metadata import RunMetadata

FIELDS = ("workspace", "project", "experiment")


def check_template(option: str, template: str) -> None:
    """Check that a template can be filled for every run.

    Raises:
        UsageError: it cannot; names the option that gave it.

    Examples:
        >>> check_template("--acme-project", "{workspace}-{project}")
        >>> check_template("--acme-project", "{team}")
        Traceback (most recent call last):
        neptune_exporter.errors.UsageError: --acme-project '{team}': a template consists of ...
    """
    if not _can_be_filled(template):
        known = ", ".join(f"{{{field}}}" for field in FIELDS)
        raise UsageError(f"{option} {template!r}: a template consists of text and {known}")


def _can_be_filled(template: str) -> bool:
    plain = {(None, None, None), *((field, "", None) for field in FIELDS)}
    try:
        return plain.issuperset((name, spec, how) for _, name, spec, how in Formatter().parse(template))
    except ValueError:  # a single brace
        return False


def filled(template: str, run: RunMetadata, experiment: str = "") -> str:
    """A template with the fields of a run.

    Args:
        experiment: For a run that is in no experiment.

    Examples:
        >>> from neptune_exporter.sinks.metadata import RunMetadata
        >>> filled("{workspace}-{project}", RunMetadata.of(run))
        'acme-vision'
    """
    workspace, project = workspace_and_project(run.key.project_id)
    return template.format(workspace=workspace, project=project, experiment=run.experiment or experiment)
