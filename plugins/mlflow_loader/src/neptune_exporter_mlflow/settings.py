"""The settings of a load into MLflow."""

from __future__ import annotations

from dataclasses import dataclass

from neptune_exporter.contract import EqualPoints, Secret, SinkCapabilities, UsageError, setting

CAPABILITIES = SinkCapabilities(
    lowest_step=-(2**63),
    highest_step=2**63 - 1,
    equal_points=EqualPoints.MERGED,
    signed_zeros=False,
    earliest_time=0,
    verifies=True,
)
"""Steps are whole and signed; step, time and value distinguish points; times before 1970
are refused (`mlflow.utils.validation`, seen in 3.17.2)."""


@dataclass(frozen=True)
class MlflowSettings:
    tracking_uri: str | None = setting(
        default=None,
        env=("MLFLOW_TRACKING_URI",),
        help="Where MLflow is: https://…, databricks, sqlite:///mlflow.db, postgresql://…",
    )
    experiment: str = setting(
        default="{workspace}/{project}",
        help="The MLflow experiment of a run: {workspace}, {project} and {experiment} stand for Neptune's.",
    )
    artifact_location: str | None = setting(
        default=None,
        help="Where new experiments keep their artifacts (a folder, s3://…); default: MLflow decides.",
    )
    direct_database: Secret | None = setting(
        default=None,
        help="The tracking server's own database (sqlite, PostgreSQL): points are written into it directly.",
    )

    def __post_init__(self) -> None:
        from neptune_exporter.sinks.templates import check_template  # not for a mere --help

        check_template("--mlflow-experiment", self.experiment)
        if not self.experiment.strip():
            raise UsageError("--mlflow-experiment is empty, but an experiment of MLflow has a name")


def divided(settings: MlflowSettings, processes: int) -> MlflowSettings:
    """The settings for each of several processes. Raises UsageError if the target is an SQLite file, to which
    one process at a time can write."""
    direct = settings.direct_database.reveal() if settings.direct_database else ""
    if any(uri.startswith("sqlite") for uri in (settings.tracking_uri or "", direct)):
        raise UsageError("--executor: one process at a time can write to an SQLite file")
    return settings
