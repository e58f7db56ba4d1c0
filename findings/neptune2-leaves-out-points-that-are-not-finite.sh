#!/usr/bin/env bash
# The Neptune 2.x client (neptune 1.14.0.post2) leaves NaN and infinite points out of a series that has no steps.
#
# One would guess: run["loss"].append(nan) keeps a place in the series, as append(1.0) does.
# Behaviour: in offline mode the point is not written at all (a warning only), and the points carry no step.
# The server numbers such points as they come, so every later point moves up by one: the value logged
# fourth is the third point of the series.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check neptune==1.14.0.post2 'setuptools<81'
cat > "$folder/try.py" <<'PY'
import json
import math
import pathlib
import sys

import neptune

print("neptune", neptune.__version__)
run = neptune.init_run(
    mode="offline", project="team/project", source_files=[], git_ref=False, capture_hardware_metrics=False,
    capture_stdout=False, capture_stderr=False, capture_traceback=False, with_id=None,
)
for value in (1.0, 2.0, math.nan, 4.0):
    run["loss"].append(value)
run.stop()
points = []
for log in pathlib.Path(".neptune").rglob("data-*.log"):
    text, decoder, at = log.read_text(), json.JSONDecoder(), 0
    while at < len(text):
        record, at = decoder.raw_decode(text, at)
        while at < len(text) and text[at].isspace():
            at += 1
        operation = record["obj"]
        if operation["type"] == "LogFloats" and operation["path"] == ["loss"]:
            points += [(each["value"], each["step"]) for each in operation["values"]]
print("logged 1.0, 2.0, nan, 4.0; written (value, step):", points)
sys.exit(0 if points == [(1.0, None), (2.0, None), (4.0, None)] else "the behaviour has changed")
PY
cd "$folder" && "$folder/venv/bin/python" -W ignore "$folder/try.py" 2>/dev/null
