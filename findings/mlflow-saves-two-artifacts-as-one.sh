#!/usr/bin/env bash
# MLflow 3.17.2 saves artifacts `x.txt` and `x.txt#1` as one file through its server.
#
# One would guess: two artifacts of different names are two files; or the second name is refused.
# Behaviour: the client puts the name into a URL as it is, so that it ends at `#` (and at `?`). Both
# uploads succeed, and the run has one file, with the bytes of the later one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mlflow==3.17.2
cat > "$folder/try.py" <<'PY'
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

folder = sys.argv[1]
os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
server = subprocess.Popen(
    [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    + ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts"],
    cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
)
try:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
            break
        except OSError:
            time.sleep(0.5)
    import mlflow
    from mlflow import MlflowClient

    print("mlflow", mlflow.__version__)
    client = MlflowClient(f"http://127.0.0.1:{port}")
    run_id = client.create_run("0").info.run_id
    for name in ("x.txt", "x.txt#1"):
        with open(f"{folder}/{name}", "w") as file:
            file.write(name)
        client.log_artifact(run_id, f"{folder}/{name}")
    names = [entry.path for entry in client.list_artifacts(run_id)]
    with open(client.download_artifacts(run_id, "x.txt", folder + "/venv")) as file:
        content = file.read()
    print(f"saved x.txt and x.txt#1; the run has {names}, and x.txt holds {content!r}")
    sys.exit(0 if (names, content) == (["x.txt"], "x.txt#1") else "the behaviour has changed")
finally:
    os.killpg(server.pid, signal.SIGTERM)
    server.wait(30)
PY
"$folder/venv/bin/python" "$folder/try.py" "$folder"
