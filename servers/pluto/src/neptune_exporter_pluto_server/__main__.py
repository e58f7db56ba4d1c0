"""`python -m neptune_exporter_pluto_server`: a local Pluto as a process of its own.

Prints one line of JSON with its URLs, then serves until SIGINT, SIGTERM or, with
`--until-stdin-closes`, the end of its input. With `--folder` the data stays there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from neptune_exporter.testing.ending import Ending
from neptune_exporter_pluto_server import DEFAULT_KEY, RehearsalServer, Settings

KEY_VARIABLE = "PLUTO_REHEARSAL_KEY"


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    key = options.api_key or os.environ.get(KEY_VARIABLE)
    settings = Settings(
        visibility_delay=options.visibility_delay,
        presign_seconds=options.presign_seconds,
    )
    ending = Ending()
    server = RehearsalServer(
        options.port,
        api_key=key or DEFAULT_KEY,
        folder=options.folder,
        count_only=options.count_only,
        reaper_interval=options.reaper_interval or None,
        settings=settings,
    )
    with server:
        urls = {name: getattr(server, name) for name in ("url_app", "url_api", "url_ingest", "url_py")}
        if key is None:
            urls["api_key"] = DEFAULT_KEY
        sys.stdout.write(json.dumps(urls) + "\n")
        sys.stdout.flush()
        if options.until_stdin_closes:
            ending.follow_input()
        ending.wait()
        sys.stderr.write(json.dumps(server.stats()) + "\n")
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m neptune_exporter_pluto_server", description="A local Pluto on 127.0.0.1."
    )
    parser.add_argument("--port", type=int, default=0, help="0 (the default) lets the system choose")
    parser.add_argument("--folder", type=Path, help="keep runs, rows and files there when the server ends")
    parser.add_argument("--count-only", action="store_true", help="check and count, keep nothing")
    parser.add_argument(
        "--visibility-delay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="until accepted rows can be read (the real one: about 6)",
    )
    parser.add_argument(
        "--presign-seconds",
        type=float,
        default=3600.0,
        metavar="SECONDS",
        help="how long upload URLs are valid",
    )
    parser.add_argument(
        "--reaper-interval",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="between rounds of the stale-run reaper; 0 never runs it",
    )
    parser.add_argument(
        "--api-key",
        help=f"the key to accept (default: {DEFAULT_KEY}); others can see it in the process list, "
        f"so give a real one as {KEY_VARIABLE}",
    )
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when the input ends")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
