"""Names of projects and groups in a target, by templates that a user can change.

Imports nothing heavy, so that settings may use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neptune_exporter.contract import UsageError

if TYPE_CHECKING:
    from neptune_exporter.sinks.metadata import RunMetadata

FIELDS = ("workspace", "project", "experiment")


def check_template(option: str, template: str) -> None:
    """
    Raises:
        UsageError: a template cannot be filled; names the option that gave it.
    """
    try:
        template.format(**dict.fromkeys(FIELDS, "x"))
    except (LookupError, ValueError, AttributeError) as error:
        known = ", ".join(f"{{{field}}}" for field in FIELDS)
        raise UsageError(f"{option} {template!r}: a template consists of text and {known}") from error


def filled(template: str, run: RunMetadata, experiment: str = "") -> str:
    """A template with the fields of a run.

    Args:
        experiment: For a run that is in no experiment.

    Examples:
        >>> from neptune_exporter.sinks.metadata import RunMetadata
        >>> filled("{workspace}-{project}", RunMetadata.of(run))
        'acme-vision'
    """
    workspace, _, project = run.key.project_id.rpartition("/")
    return template.format(workspace=workspace, project=project, experiment=run.experiment or experiment)
