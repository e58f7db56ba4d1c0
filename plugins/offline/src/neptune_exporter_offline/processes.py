"""Groups the folders and databases of a run by the process that wrote them: it numbers all their records.

A process is recognised by the name that the client gave its folder, wherever that lies. If the folder was
renamed, the first record and its time tell. Logs of one process for several servers lie in one
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
    """Values that are equal only for folders of one process."""
    signs: list[object] = [("name", folder.process)]
    if (start := folder.start) is not None:
        if start.at:
            signs.append(("start", start))
        signs.append(("server", folder.process[0], start.number, start.digest))
    return signs


def _leader_by_content(
    index: int, folders: Sequence[Folder], members: dict[int, list[int]], find: Find
) -> int:
    """The process whose log contains the first record of this log, or has its own first record in it."""
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
    """Whether two logs begin at different numbers, and one of them contains the first record of the other."""
    if start.number > its.number:
        return find(other, start.number) == start
    return start.number < its.number and find(index, its.number) == its
