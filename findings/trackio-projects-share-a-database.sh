#!/usr/bin/env bash
# trackio 0.43.0 keeps the projects `team/proj`, `team.proj` and `teamproj` in one database.
#
# One would guess: three names are three projects, or two of them are refused.
# Behaviour: the file name of a project keeps only some characters, so that all three share one file: the
# runs of one are listed under each of the others.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check trackio==0.43.0
cat > "$folder/try.py" <<'PY'
import sys

import trackio
from trackio.sqlite_storage import SQLiteStorage

print("trackio", trackio.__version__)
names = ("team/proj", "team.proj", "teamproj")
for number, name in enumerate(names):
    SQLiteStorage.bulk_log(name, f"run-{number}", [{"loss": 1.0}], steps=[0])
for name in names:
    print(name, SQLiteStorage.get_project_db_path(name).name, sorted(SQLiteStorage.get_runs(name)))
files = {SQLiteStorage.get_project_db_path(name) for name in names}
same = all(sorted(SQLiteStorage.get_runs(name)) == ["run-0", "run-1", "run-2"] for name in names)
sys.exit(0 if len(files) == 1 and same else "the behaviour has changed")
PY
TRACKIO_DIR="$folder/data" HF_HUB_OFFLINE=1 "$folder/venv/bin/python" -W ignore "$folder/try.py"
