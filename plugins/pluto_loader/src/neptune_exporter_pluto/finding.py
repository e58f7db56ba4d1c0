"""Finding the runs of Pluto that any machine has loaded a run into, without a trace.

Asking for an external id makes its run RUNNING and writes that into its history. Configs can be searched
instead (recorded from the real API, pluto-server 3e89082); one written a moment ago may not be found yet.
"""

from __future__ import annotations

from typing import Any

from neptune_exporter.model import RunKey
from neptune_exporter_pluto.api import PlutoApi
from neptune_exporter_pluto.config import SECTION
from neptune_exporter_pluto.run_metadata import IDENTITY, external_id
from neptune_exporter_pluto.transport import PlutoRefusedError


def loads_of(api: PlutoApi, project: str, run: RunKey) -> dict[str, dict[str, Any]]:
    """The details of the runs in a project of Pluto that hold a run, by external id."""
    found = api.find_runs(project, f"{SECTION}.{IDENTITY}", external_id(run, 1))
    details = (_details(api, project, run_id) for run_id in found)
    return {str(one["externalId"]): one for one in details if one is not None}


def _details(api: PlutoApi, project: str, run_id: int) -> dict[str, Any] | None:
    """None where somebody has removed it since."""
    try:
        return api.details(project, run_id)
    except PlutoRefusedError as error:
        if error.status == 404:
            return None
        raise
