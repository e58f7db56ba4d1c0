"""Exports runs from a Neptune 3.x server, for neptune-exporter."""
