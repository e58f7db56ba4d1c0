"""Reads a run back from Pluto and compares it with the dataset, in the manner of `rclone check`."""

from neptune_exporter_pluto.verify.compare import compare

__all__ = ["compare"]
