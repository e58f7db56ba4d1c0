#!/usr/bin/env bash
# `wandb sync` 0.31.0 gives rows whose step falls or repeats another step, without a warning.
#
# One would guess: rows arrive with the step that stands in the run's file, or are refused.
# Behaviour: a file with the steps 5, 3, 5 is sent as 5, 6, 7, and the exit code is 0. So whoever writes a
# `.wandb` file must number the rows in ascending order, and keep another step as a metric.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check wandb==0.31.0
cat > "$folder/try.py" <<'PY'
import json
import os
import pathlib
import struct
import subprocess
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import wandb
from wandb.proto import wandb_internal_pb2 as pb

lines = {}


class Server(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = {}
        if "upsertBucket" in sent.get("query", ""):
            project = {"id": "1", "name": "p", "entity": {"id": "1", "name": "e"}}
            data = {"upsertBucket": {"bucket": {"id": "1", "name": "r", "project": project}, "inserted": True}}
        elif "createRunFiles" in sent.get("query", ""):
            data = {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": []}}
        history = (sent.get("files") or {}).get("wandb-history.jsonl")
        if history:
            lines.update(enumerate(history["content"], history["offset"]))
        answer = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


records = [pb.Record(run=pb.RunRecord(run_id="r", project="p"))]
for step in (5, 3, 5):
    row = pb.HistoryRecord(step=pb.HistoryStep(num=step))
    row.item.add(nested_key=["_step"], value_json=str(step))
    row.item.add(nested_key=["x"], value_json="1")
    records.append(pb.Record(history=row))
records.append(pb.Record(exit=pb.RunExitRecord()))
folder = pathlib.Path("wandb/offline-run-20240101_000000-r")
folder.mkdir(parents=True)
content = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)
for number, record in enumerate(records, 1):
    record.num = number
    data = record.SerializeToString()
    content += struct.pack("<IHB", zlib.crc32(b"\x01" + data), len(data), 1) + data
(folder / "run-r.wandb").write_bytes(content)
server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
environment = {
    **os.environ,
    "WANDB_BASE_URL": f"http://127.0.0.1:{server.server_address[1]}",
    "WANDB_API_KEY": "0123456789" * 4,
    "WANDB_ERROR_REPORTING": "false",
}
command = [sys.executable, "-m", "wandb", "sync", str(folder)]
done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
server.shutdown()
rows = [json.loads(lines[number]) for number in sorted(lines)]
steps = [row["_step"] for row in rows]
said = done.stdout + done.stderr
print("wandb", wandb.__version__)
print("steps in the file: [5, 3, 5]; sent:", steps, "; exit code", done.returncode)
quiet = done.returncode == 0 and "step" not in said.lower()
sys.exit(0 if steps == [5, 6, 7] and quiet else f"the behaviour has changed: {said}")
PY
cd "$folder"
"$folder/venv/bin/python" try.py
