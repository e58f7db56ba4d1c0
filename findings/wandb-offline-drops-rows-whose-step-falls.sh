#!/usr/bin/env bash
# wandb 0.31.0 drops rows of run.log whose step falls, and merges rows whose step repeats, without an exception.
#
# One would guess: run.log({"b": 1.0}, step=0) keeps the point or raises.
# Behaviour: of two series logged one after the other, each at the steps 0 to 99, the second one keeps only
# its last point. So a loader that goes through an export series by series loses nearly all of it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check wandb==0.31.0
cat > "$folder/try.py" <<'PY'
import json
import os
import pathlib
import subprocess
import sys

os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
import wandb

run = wandb.init(project="p", settings=wandb.Settings(console="off"))
for name in ("a", "b"):
    for step in range(100):
        run.log({name: float(step)}, step=step)
run.finish()
wandb.teardown()
(folder,) = pathlib.Path("wandb").glob("offline-run-*")
command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
rows = [json.loads(line)["history"]["item"] for line in said.splitlines() if '"type":"history"' in line]
kept = {name: [row[name] for row in rows if name in row] for name in ("a", "b")}
print("wandb", wandb.__version__)
print("logged: 100 points of a and of b; kept:", {name: len(points) for name, points in kept.items()})
expected = len(kept["a"]) == 100 and kept["b"] == [99]
sys.exit(0 if expected else f"the behaviour has changed: {kept}")
PY
cd "$folder"
"$folder/venv/bin/python" try.py
