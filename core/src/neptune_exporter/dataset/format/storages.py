"""Opens the storage of a location."""

from __future__ import annotations

from neptune_exporter.dataset.format.local_storage import LocalStorage
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.location import Location


def storage_at(location: Location) -> Storage:
    """The storage of this location. Raises UsageError if a package is not installed, or an option is
    wrong."""
    if location.path is not None:
        return LocalStorage(location)
    from neptune_exporter.dataset.format.object_storage import ObjectStorage

    return ObjectStorage(location)
