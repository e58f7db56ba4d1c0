"""What a loader may use: names, steps, sorted points, losses, run metadata, texts, files, comparison.

A loader for another tracker starts with `neptune_exporter.sinks.loader.Loader`, which needs only what is
the target's own. Needs numpy and pyarrow: import it in the factory of a sink, not where plugins register.
"""
