"""One step multiplier for all runs of a project, so that their series stay comparable."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import orjson

from neptune_exporter.contract import DatasetError, ExportedRun
from neptune_exporter.model import RunKey
from neptune_exporter.sinks.names import digest
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter.sinks.survey import StepSurvey, joined, look_at_steps, multipliers
from neptune_exporter_pluto.form.limits import EXACT_STEPS
from neptune_exporter_pluto.state.session import Session

_log = logging.getLogger(__name__)


def find_multipliers(
    session: Session, project_id: str, runs: Sequence[ExportedRun]
) -> dict[RunKey, Multiplier]:
    """What the user asked for, else the smallest power of ten that makes all steps of the project whole.

    One that earlier loads of the project used is kept if it is enough. Where no power
    makes all steps whole and keeps them within 64 bits, runs that need more digits
    than the rest get a power of their own: steps that merge would be worse. A run that
    cannot be read gets none: its own load says why, and the others do not wait for it.
    """
    if session.options.step_multiplier is not None:
        asked = Multiplier.of(session.options.step_multiplier)
        return {run.key: asked for run in runs}
    found = zip((run.key for run in runs), session.senders.map(_survey_if_whole, runs), strict=True)
    surveys = {key: survey for key, survey in found if survey is not None}
    return multipliers(surveys, _kept(session, project_id, joined(surveys.values(), EXACT_STEPS)))


def multiplier_of(session: Session, run: ExportedRun) -> Multiplier:
    """The multiplier of one run, as `find_multipliers` found it for its project, or else finds it now. Raises
    DatasetError if the run is damaged."""
    if run.key not in session.multipliers:
        look_at_steps(run, EXACT_STEPS)  # raises what is wrong with a run that gets none as it is damaged
        session.multipliers |= find_multipliers(session, run.key.project_id, [run])
    return session.multipliers[run.key]


def _survey_if_whole(run: ExportedRun) -> StepSurvey | None:
    try:
        return look_at_steps(run, EXACT_STEPS)
    except DatasetError as error:
        _log.debug("%s: %s", run.key, error)
        return None


def _kept(session: Session, project_id: str, survey: StepSurvey) -> int:
    """The project's multiplier, which is written down for later loads."""
    folder = session.target(project_id).folder(session.base_dir)
    path = folder / f"multiplier-{digest(project_id)}.json"
    needed = survey.multiplier
    before = _before(path)
    if before >= needed and survey.fits(before):
        return before
    if before:
        _log.warning(
            "%s: earlier runs were loaded with steps times %s, these need times %s: "
            "in Pluto their steps do not compare; each run's config tells its multiplier",
            project_id,
            before,
            needed,
        )
    folder.mkdir(parents=True, exist_ok=True)
    # All of it or nothing: a kill must not leave half a file, and another load may write it at this moment.
    descriptor, fresh = tempfile.mkstemp(dir=folder, prefix=path.stem)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps({"project": project_id, "multiplier": needed}))
    Path(fresh).replace(path)
    return needed


def _before(path: Path) -> int:
    """The multiplier of earlier loads; 0 if there were none."""
    try:
        return int(orjson.loads(path.read_bytes())["multiplier"])
    except FileNotFoundError:
        return 0
    except (ValueError, KeyError, TypeError):
        _log.warning("%s is damaged: the multiplier of the steps is worked out again", path)
        return 0
