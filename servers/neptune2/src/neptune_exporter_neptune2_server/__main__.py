"""Runs a server with synthetic data until SIGTERM, SIGINT or the end of its standard input."""

from __future__ import annotations

import argparse
import json
import sys

from neptune_exporter.testing.ending import Ending
from neptune_exporter_neptune2_server.server import Neptune2Server
from neptune_exporter_neptune2_server.synthetic import prepare, synthetic_project


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m neptune_exporter_neptune2_server", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="runs in the project (default: 10)")
    parser.add_argument("--series", type=int, default=5, help="float series of a run (default: 5)")
    parser.add_argument("--points", type=int, default=1000, help="points of a series (default: 1000)")
    parser.add_argument("--parameters", type=int, default=20, help="single values of a run (default: 20)")
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose (default)")
    chosen = parser.parse_args(arguments)

    ending = Ending()
    project = synthetic_project(chosen.runs, chosen.series, chosen.points, chosen.parameters)
    server = Neptune2Server([project], port=chosen.port)
    prepare(project, server.options.page_limit)
    with server:
        ready = {"url": server.url, "api_token": server.tokens.api_token, "project": project.qualified_name}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        ending.follow_input()
        ending.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
