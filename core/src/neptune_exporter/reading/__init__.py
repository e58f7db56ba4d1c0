"""Reading an export from Python: `neptune_exporter.open_dataset`."""

from neptune_exporter.reading.opened import ExportedDataset, open_dataset

__all__ = ["ExportedDataset", "open_dataset"]
