#!/usr/bin/env bash
# `import neptune` (neptune-client 1.14.0.post2) spends half of its time on a grammar of IRIs.
#
# One would guess: importing a client of HTTP loads code, and most of its time goes into its own modules.
# Behaviour: through bravado and `jsonschema[format-nongpl]` 4.26.0 it imports rfc3987-syntax 1.1.0, which
# builds a Lark parser of its whole grammar at each start of Python, although nothing asks for the format
# `iri`. That is about half of the import.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    neptune-client==1.14.0.post2 jsonschema==4.26.0 rfc3987-syntax==1.1.0 lark==1.3.1 "setuptools<81"
cat > "$folder/try.py" <<'PY'
import subprocess
import sys
from importlib.metadata import version

# The first import compiles the modules; the second is that of every later start.
for _ in range(2):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-X", "importtime", "-c", "import neptune"],
        check=True, capture_output=True, text=True,
    )
times = {}
for line in done.stderr.splitlines():
    fields = line.removeprefix("import time:").split("|")
    if len(fields) == 3 and fields[1].strip().isdigit():
        times[fields[2].strip()] = int(fields[1]) / 1e6
whole, grammar = times["neptune"], times["rfc3987_syntax"]
for name in ("neptune-client", "jsonschema", "rfc3987-syntax"):
    print(name, version(name))
print(f"import neptune: {whole:.2f} s, of which the grammar of rfc3987_syntax: {grammar:.2f} s")
sys.exit(0 if grammar > whole / 3 else "the behaviour has changed")
PY
"$folder/venv/bin/python" "$folder/try.py"
