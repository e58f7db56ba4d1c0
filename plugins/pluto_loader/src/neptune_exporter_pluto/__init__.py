"""Loads exported Neptune runs into Pluto: a plugin of neptune-exporter."""
