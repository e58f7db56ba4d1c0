#!/usr/bin/env bash
# MLflow 3.17.2 gives an infinite metric back as the largest finite double.
#
# One would guess: a metric that was logged as inf reads back as inf, as one that was logged as NaN reads
# back as NaN.
# Behaviour: NaN has a column of its own, infinities are stored as +-1.7976931348623157e308 and read back so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mlflow-skinny==3.17.2 sqlalchemy==2.1.9 alembic==1.20.1
cat > "$folder/try.py" <<'PY'
import math
import os
import sys

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric

print("mlflow", mlflow.__version__)
client = MlflowClient(f"sqlite:///{sys.argv[1]}/mlflow.db")
run_id = client.create_run("0").info.run_id
client.log_batch(run_id, [Metric("loss", v, 0, s) for s, v in enumerate([math.nan, math.inf, -math.inf])])
nan, high, low = (m.value for m in sorted(client.get_metric_history(run_id, "loss"), key=lambda m: m.step))
print(f"logged nan, inf, -inf; read {nan}, {high}, {low}")
largest = sys.float_info.max
sys.exit(0 if math.isnan(nan) and (high, low) == (largest, -largest) else "the behaviour has changed")
PY
"$folder/venv/bin/python" "$folder/try.py" "$folder"
