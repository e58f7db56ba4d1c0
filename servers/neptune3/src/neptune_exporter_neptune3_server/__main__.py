"""A server of synthetic data as a process of its own.

    python -m neptune_exporter_neptune3_server --runs 200 --metrics 20 --points 1000

Prints one line of JSON (`url`, `api_token`, `project`, and what it holds) when it is
ready. Ends on SIGTERM, SIGINT, or when its stdin is closed, so that it cannot outlive
the process that started it.
"""

from __future__ import annotations

import argparse
import json
import sys

from neptune_exporter.testing.ending import Ending

from .server import Neptune3Server
from .synthetic import synthetic_project


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m neptune_exporter_neptune3_server", description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--metrics", type=int, default=5, help="metrics of each run")
    parser.add_argument("--points", type=int, default=1000, help="points of each metric")
    parser.add_argument("--strings", type=int, default=0, help="steps of a string series in each run")
    parser.add_argument("--histograms", type=int, default=0, help="steps of a histogram series in each run")
    parser.add_argument("--files", type=int, default=0, help="steps of a file series in each run, and a file")
    parser.add_argument("--file-bytes", type=int, default=1024)
    parser.add_argument("--parameters", type=int, default=5, help="single values of each run, at least 5")
    parser.add_argument("--project", default="acme/synthetic")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--port", type=int, default=0, help="0: one that the system chooses")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to every request")
    parser.add_argument("--ignore-stdin", action="store_true", help="go on when stdin is closed")
    args = parser.parse_args()

    project = synthetic_project(
        runs=args.runs,
        metrics=args.metrics,
        points=args.points,
        strings=args.strings,
        histograms=args.histograms,
        files=args.files,
        file_bytes=args.file_bytes,
        parameters=args.parameters,
        name=args.project,
        seed=args.seed,
    )
    ending = Ending()
    if not args.ignore_stdin:
        ending.follow_input()
    server = Neptune3Server([project], port=args.port)
    server.latency = args.latency
    with server:
        ready = {
            "url": server.url,
            "api_token": server.api_token,
            "project": args.project,
            "runs": args.runs,
            "float_points": args.runs * args.metrics * args.points,
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        ending.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
