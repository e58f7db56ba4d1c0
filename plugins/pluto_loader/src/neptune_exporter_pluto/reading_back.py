"""What Pluto shows of a run that was loaded whole."""

from __future__ import annotations

from collections import Counter, deque

from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter.sinks.files import RESTORABLE
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_pluto import verify
from neptune_exporter_pluto.deciding import Shown
from neptune_exporter_pluto.file_tasks import file_tasks
from neptune_exporter_pluto.form.config import SECTION
from neptune_exporter_pluto.form.content import Content
from neptune_exporter_pluto.form.losses import LossBook
from neptune_exporter_pluto.form.section import ContentOptions
from neptune_exporter_pluto.state.open_run import OpenRun
from neptune_exporter_pluto.state.progress import Progress
from neptune_exporter_pluto.verify import names, points


def shown(work: OpenRun) -> tuple[Shown, str]:
    """Whether Pluto shows all of a run, as an earlier command found or as it does now; and what is wrong."""
    now = work.now
    if now.proven and not _has_files_again(work, now):
        return Shown.ALL, ""
    wrong = damage(work, now, LossBook(work.run.key))
    if not wrong:
        work.journal.note("proven", equal=True)
        return Shown.ALL, ""
    repeatable = all(map(_is_repeatable, wrong))
    return Shown.LACKS_REPEATABLE if repeatable else Shown.DAMAGED, wrong[0].item


def damage(work: OpenRun, now: Progress, losses: LossBook) -> list[Comparison]:
    """What Pluto does not show as it was sent, but for what people change there.

    Another machine describes its load in its own words; such a difference sends nothing again.

    Args:
        losses: Is filled with what cannot be in Pluto.
    """
    compared = verify.compare(work, now, full=False, losses=losses)
    wrong = (c for c in compared if c.verdict.is_mismatch)
    # The section is what a load wrote of itself, here another machine's.
    return [c for c in wrong if not _is_edit(c) and not (now.elsewhere and c.item.startswith(SECTION))]


def _is_repeatable(comparison: Comparison) -> bool:
    """Whether sending again repairs it and harms nothing: metrics, and what describes the run.

    A name keeps the type with which it was registered first.
    """
    if comparison.item.startswith(names.ITEM):
        return comparison.verdict is Verdict.MISSING
    described = comparison.item in ("tags", "status") or comparison.item.startswith(
        (points.ITEM, "parameter", SECTION)
    )
    return described and comparison.verdict is not Verdict.EXTRA


def _is_edit(comparison: Comparison) -> bool:
    """Whether it is what people do in Pluto: another name, tags, parameters and series beside Neptune's.

    Not `neptune_exporter.sinks.comparing.damage`, for which whatever is beside Neptune's is an edit, but more
    tags are none: in Pluto a file too much is what a load announced twice, and nobody can add a fork.
    """
    if comparison.verdict is Verdict.EXTRA:
        return comparison.item == "tags" or comparison.item.startswith(("parameter", names.ITEM, SECTION))
    return comparison.item == "name"


def _has_files_again(work: OpenRun, now: Progress) -> bool:
    """Whether files that were missing or damaged when the run was loaded are there now."""
    assert now.loaded is not None
    recorded: Counter[tuple[str, str]] = Counter()
    for loss in now.loaded["losses"]:
        if loss["reason"] in RESTORABLE:
            recorded[loss["reason"], loss["attribute_path"]] += int(loss["count"])
    if not recorded:
        return False
    options = ContentOptions.of_record(now.loaded["options"])
    # The cap counts files of all attributes.
    only = None if options.max_files_per_run else {path for _, path in recorded}
    found = LossBook(work.run.key)
    batch_rows = work.session.settings.batch_rows
    content = Content(work.run, Multiplier(1, 1), 0, batch_rows, options, found, work.journal.work_folder)
    deque(file_tasks(content, only=only), maxlen=0)
    return any(found.count([reason], path) < count for (reason, path), count in recorded.items())
