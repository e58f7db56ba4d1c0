#!/usr/bin/env bash
# DuckDB 2.0.1 finds no NaN in a parquet column that pyarrow wrote with statistics.
#
# One would guess: isnan(x) finds the NaN rows of a float column, and max(x) is NaN, as DuckDB orders
# NaN above every number.
# Behaviour: pyarrow leaves NaN out of a column's min and max, and DuckDB takes the bounds for all of the
# column: isnan() finds nothing and max() is the greatest finite value. Without statistics both are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1
cat > "$folder/try.py" <<'PY'
import math
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

folder = sys.argv[1]
print("duckdb", duckdb.__version__, "pyarrow", pa.__version__)
table = pa.table({"x": [1.0, math.nan, 2.0]})
connection, seen = duckdb.connect(), {}
for statistics in (True, False):
    path = f"{folder}/statistics-{statistics}.parquet"
    pq.write_table(table, path, write_statistics=statistics)
    nans = connection.execute(f"select count(*) from '{path}' where isnan(x)").fetchone()[0]
    greatest = connection.execute(f"select max(x) from '{path}'").fetchone()[0]
    print(f"statistics {statistics}: isnan finds {nans}, max is {greatest}")
    seen[statistics] = (nans, math.isnan(greatest), greatest)
expected = seen[True] == (0, False, 2.0) and seen[False][:2] == (1, True)
sys.exit(0 if expected else "the behaviour has changed")
PY
"$folder/venv/bin/python" "$folder/try.py" "$folder"
