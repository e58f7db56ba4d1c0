"""The loader's own section of the config: what the run was in Neptune, and what was changed on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter.sinks.values import short
from neptune_exporter_pluto.entries import Entries
from neptune_exporter_pluto.form.config import SECTION, of_pairs, section_of
from neptune_exporter_pluto.form.section import LOADING, SUPERSEDED, Found, closing_section, opening_section
from neptune_exporter_pluto.form.values import is_same
from neptune_exporter_pluto.verify.context import Check

_LOAD = "load/"
_PAIRS = frozenset(
    {"names", "renamed", "converted", "exact", "texts", "console", "not_exported", "tags_beyond_limit"}
)


def compare_section(check: Check, entries: Entries) -> Iterator[Comparison]:
    """To be asked for when everything has its name. One line for all that is right, one for each other key.

    What tells one load from another (mark, generation) is not compared.
    """
    held = _flat(section_of(check.details))
    if not held:
        yield check.line(SECTION, Verdict.MISSING, "the loader's section of the config")
        return
    wanted = _flat(opening_section(check.metadata, check.content.multiplier, check.content.options))
    is_whole = Found.of(check.details).state not in (LOADING, SUPERSEDED)
    if is_whole:
        texts = [text.name for text in entries.texts]
        wanted |= _flat(closing_section(check.content.names, texts, entries.console_lines, check.declared))
    if held.get("fingerprint"):  # it is compared as the export
        del wanted["fingerprint"], held["fingerprint"]
    same = 0
    for key, value in wanted.items():
        wrong = _difference(value, held[key]) if key in held else (Verdict.MISSING, short(value), "")
        if wrong is None:
            same += 1
        else:
            yield check.line(f"{SECTION}: {key}", *wrong)
    if is_whole:
        yield from _extra(check, wanted, held)
    if same:
        yield check.line(SECTION, Verdict.EQUAL, same, same)


def _extra(check: Check, wanted: Mapping[str, Any], held: Mapping[str, Any]) -> Iterator[Comparison]:
    for key, value in held.items():
        if key not in wanted and not key.startswith(_LOAD):
            yield check.line(f"{SECTION}: {key}", Verdict.EXTRA, "", short(value))


def _flat(section: Mapping[str, Any]) -> dict[str, Any]:
    """The section with what it says of the load as keys of their own.

    Of what was not exported only the paths: the next export of the same rows may fail in other words.
    """
    flat = {key: value for key, value in section.items() if key != "load"}
    flat |= {key: of_pairs(flat[key]) for key in _PAIRS & flat.keys()}
    if "not_exported" in flat:
        flat["not_exported"] = dict.fromkeys(flat["not_exported"], "")
    load = section.get("load")
    return flat | {_LOAD + key: value for key, value in (load if isinstance(load, dict) else {}).items()}


def _difference(wanted: Any, held: Any) -> tuple[Verdict, str, str] | None:
    """Of long maps only the first member that is not the same."""
    if not isinstance(wanted, Mapping) or not isinstance(held, Mapping):
        return None if is_same(wanted, held) else (Verdict.DIFFERENT, short(wanted), short(held))
    for key, value in wanted.items():
        if key not in held or not is_same(value, held[key]):
            found = short({key: held[key]}) if key in held else f"no {short(key)}"
            return Verdict.DIFFERENT, short({key: value}), found
    extra = sorted(held.keys() - wanted.keys())
    return (Verdict.EXTRA, "", short({extra[0]: held[extra[0]]})) if extra else None
