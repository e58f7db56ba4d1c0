#!/usr/bin/env bash
# pyarrow 26.0.1 imports pandas as soon as it makes an array of a plain list.
#
# One would guess: pandas is imported where a pandas object comes in or goes out (to_pandas, from_pandas).
# Behaviour: the first pyarrow.array() of a list of integers imports pandas where it is installed, to find out
# whether the list is a Series. Reading a file with ParquetFile and computing on what was read does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 pandas==2.3.3
cat > "$folder/try.py" <<'PY'
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

path = f"{sys.argv[1]}/numbers.parquet"
print("pyarrow", pa.__version__)
if sys.argv[2] == "write":
    pq.write_table(pa.table({"x": pa.array([1, 2, 3])}), path)
else:
    print("sum", pc.sum(pq.ParquetFile(path).read()["x"]))
print(sys.argv[2], "imported pandas:", "pandas" in sys.modules)
sys.exit(0 if ("pandas" in sys.modules) == (sys.argv[2] == "write") else "the behaviour has changed")
PY
"$folder/venv/bin/python" "$folder/try.py" "$folder" write
"$folder/venv/bin/python" "$folder/try.py" "$folder" read
