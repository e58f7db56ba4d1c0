"""Looks at an export in the browser: `neptune-exporter view`."""
