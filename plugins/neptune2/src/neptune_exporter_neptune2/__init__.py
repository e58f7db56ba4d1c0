"""Reads a Neptune 2.x server through its own client's session: runs, models and model versions."""
