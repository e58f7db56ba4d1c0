"""What this machine knows of its loads, on disk and in memory."""
