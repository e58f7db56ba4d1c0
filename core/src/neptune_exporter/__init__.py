"""neptune-exporter: get every byte of run history out of Neptune, prove it whole, load it anywhere."""
