"""Loads exported Neptune runs into MLflow: a plugin of neptune-exporter."""
