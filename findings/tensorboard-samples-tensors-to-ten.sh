#!/usr/bin/env bash
# The reader of TensorBoard 2.21.0 returns ten of a thousand scalars that were logged as tensors.
#
# One would guess: EventAccumulator gives back every scalar that the file holds.
# Behaviour: scalars written as tensors (the form of the TF2 writer, and the only one that holds a double)
# are sampled to ten per tag by default; the same values written as simple_value are kept up to 10,000.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorboard==2.21.0 'setuptools<81'
cat > "$folder/try.py" <<'PY'
import sys

import tensorboard
from tensorboard.backend.event_processing.event_accumulator import TENSORS, EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_DOUBLE
from tensorboard.summary.writer.event_file_writer import EventFileWriter

folder = sys.argv[1]
print("tensorboard", tensorboard.__version__)
writer = EventFileWriter(f"{folder}/log")
metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
for step in range(1000):
    tensor = TensorProto(dtype=DT_DOUBLE, double_val=[float(step)])
    value = Summary.Value(tag="loss", tensor=tensor, metadata=metadata)
    writer.add_event(Event(step=step, wall_time=step, summary=Summary(value=[value])))
writer.close()
counts = []
for guidance in (None, {TENSORS: 0}):
    reader = EventAccumulator(f"{folder}/log", size_guidance=guidance)
    reader.Reload()
    counts.append(len(reader.Tensors("loss")))
print("1000 written; read by default and with size_guidance 0:", counts)
sys.exit(0 if counts == [10, 1000] else "the behaviour has changed")
PY
"$folder/venv/bin/python" -W ignore "$folder/try.py" "$folder"
