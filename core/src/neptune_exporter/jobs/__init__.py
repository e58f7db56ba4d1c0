"""The jobs: export, load, verify, summarise. The only code that knows order, concurrency and resume."""
