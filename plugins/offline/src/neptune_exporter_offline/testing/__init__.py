"""Makes folders with the real clients, for tests: a sample run is logged as a person would log it.

`scale.write_run` needs neptune-scale, `neptune2.write_run` needs neptune (the extra `testing`).
Both return what of the sample the client can hold, as a reader must find it.
"""
