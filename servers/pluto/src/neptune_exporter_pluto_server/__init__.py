"""A local Pluto on loopback, as strict as the real one, to rehearse a load against.

Not a part of Pluto: what it knows of the protocol was read in Pluto's public
sources and SDK, and checked by letting that SDK talk to it.
"""

from neptune_exporter_pluto_server.server import RehearsalServer
from neptune_exporter_pluto_server.state import DEFAULT_KEY, Settings

__all__ = ["DEFAULT_KEY", "RehearsalServer", "Settings"]
