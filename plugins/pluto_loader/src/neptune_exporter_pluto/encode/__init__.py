"""From Arrow columns to the bytes of Pluto's ingest, without a Python object per row."""
