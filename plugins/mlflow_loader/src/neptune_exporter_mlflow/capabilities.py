"""What MLflow can hold."""

from __future__ import annotations

from neptune_exporter.contract import EqualPoints, SinkCapabilities

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
