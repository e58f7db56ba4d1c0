"""Many lines that say the same of different runs, as one line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from neptune_exporter.redaction import one_line

FEW = 3
"""Up to so many lines of a kind are shown each by itself."""

_PLURALS = {"is": "are", "was": "were", "has": "have"}
_VARYING = re.compile(r"\S*[/\\]\S*|\d[\d.,:]*")
"""Paths and numbers: what differs between lines that say the same."""


@dataclass(frozen=True)
class Line:
    """One thing to say."""

    subject: str
    """Of whom, such as a run: `acme/vision:RUN-1`. Empty where there is no subject."""
    text: str
    """What, such as `is missing`."""
    item: str = ""
    """Which thing of the subject: a part, a file, an attribute."""
    is_sentence: bool = True
    """Whether the item is the subject of the text: `part 0 is missing`, not `train/loss: HTTP 500`."""
    noun: str = ""
    """What the item is, in the singular, such as `file`."""

    @property
    def whole(self) -> str:
        """`acme/vision:RUN-1: train/loss is missing`."""
        parts = (self.subject, f"{self.item} {one_line(self.text)}".lstrip())
        if not self.is_sentence:
            parts = (f"{self.subject} {self.item}".strip(), one_line(self.text))
        return ": ".join(filter(None, parts))


def grouped(lines: Iterable[Line], *, show_all: bool = False, noun: str = "run") -> list[str]:
    """The lines as text, those of a kind in one line with their number and an example.

    Lines are of a kind if their texts are the same but for paths and numbers.

    With `show_all` each line is shown. `noun`: what subjects are, in the singular.

    Returns:
        In the order in which each kind came first, such as
        `3,000 runs: HTTP 500 (for example acme/vision:RUN-1 train/loss)` or
        `41 files of acme/vision:RUN-1 are missing (for example RUN-1/model.bin of model)`.
    """
    if show_all:
        return [line.whole for line in lines]
    kinds: dict[str, list[Line]] = {}
    for line in lines:
        kinds.setdefault(_kind(line), []).append(line)
    return [text for group in kinds.values() for text in _lines(group, noun)]


def _kind(line: Line) -> str:
    text = line.text
    for name in (line.subject, line.item):
        text = text.replace(name, "…") if name else text
    return ("item " if line.item else "") + _VARYING.sub("…", text)


def _lines(group: Sequence[Line], noun: str) -> list[str]:
    if len(group) <= FEW:
        return [line.whole for line in group]
    first = group[0]
    same = all(line.text == first.text for line in group)
    count = how_many(group, noun)
    if not same:
        return [f"{count}, for example {first.whole}"]
    if first.noun:
        is_of_one = all(line.subject == first.subject for line in group)
        where = first.item if is_of_one else f"{first.subject}: {first.item}"
        verb, _, rest = first.text.partition(" ")
        return [f"{count} {one_line(f'{_PLURALS.get(verb, verb)} {rest}')} (for example {where})"]
    joint = ": " if first.is_sentence else " "
    where = joint.join(filter(None, (first.subject, first.item)))
    return [f"{count}: {one_line(first.text)}" + (f" (for example {where})" if where else "")]


def how_many(group: Sequence[Line], noun: str) -> str:
    """`3,000 runs`, `3,000 times in 2 runs`, or `3,000 files of acme/vision:RUN-1`."""
    subjects = {line.subject for line in group if line.subject}
    if thing := group[0].noun:
        some = f"{len(subjects):,} {noun}s" if len(subjects) > 1 else group[0].subject
        return f"{len(group):,} {thing}s" + (f" of {some}" if some else "")
    if not subjects:
        return f"{len(group):,} times"
    runs = f"{len(subjects):,} {noun}{'' if len(subjects) == 1 else 's'}"
    return runs if len(subjects) == len(group) else f"{len(group):,} times in {runs}"
