"""Which folders and databases of a run one process wrote: those number their records together.

A process is recognised by the name that the client gave its folder, wherever it lies, and under another name
by its first record with the time at which it was logged. Logs of one process for several servers lie in one
folder and give different times for the same records (`neptune_experimental` gives each partition a log).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from neptune_exporter_offline.folders import Folder, Start

Find = Callable[[int, int], Start | None]
"""Gives the record of a folder with a number, if it is there."""


def group(folders: Sequence[Folder], find: Find) -> list[list[int]]:
    """The indices of the folders of each process, in their order."""
    leaders: dict[object, int] = {}
    members: dict[int, list[int]] = {}
    for index, folder in enumerate(folders):
        known = (leaders[sign] for sign in _signs(folder) if sign in leaders)
        leader = next(known, None)
        if leader is None:
            leader = _leader_by_content(index, folders, members, find)
        for sign in _signs(folder):
            leaders.setdefault(sign, leader)
        members.setdefault(leader, []).append(index)
    return list(members.values())


def _signs(folder: Folder) -> list[object]:
    """What only folders of one process have in common."""
    signs: list[object] = [("name", folder.process)]
    if (start := folder.start) is not None:
        if start.at:
            signs.append(("start", start))
        signs.append(("server", folder.process[0], start.number, start.digest))
    return signs


def _leader_by_content(
    index: int, folders: Sequence[Folder], members: dict[int, list[int]], find: Find
) -> int:
    """The process whose log holds the record with which this one begins, or which begins in this one."""
    start = folders[index].start
    if start is None or not start.at:
        return index
    for leader, others in members.items():
        for other in others:
            its = folders[other].start
            if its is not None and its.at and _meet(index, start, other, its, find):
                return leader
    return index


def _meet(index: int, start: Start, other: int, its: Start, find: Find) -> bool:
    """Whether two logs begin at different numbers, and one holds the record with which the other begins."""
    if start.number > its.number:
        return find(other, start.number) == start
    return start.number < its.number and find(index, its.number) == its
