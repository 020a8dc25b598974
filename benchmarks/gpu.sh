#!/usr/bin/env bash
# What cannot be tried on processors, in one script of under four minutes, for who has an NVIDIA GPU:
#
#     pip install 'kfp-finetune[train,cuda]'   # or from a clone: pip install -e '.[train,cuda]'
#     benchmarks/gpu.sh [MODEL]                # a Hub id or a folder; all-MiniLM-L6-v2
#
# It trains the same few updates in float32, in mixed precision, with XLA and, where there are two
# GPUs, on both; and prints of each the seconds, the precision, the replicas and the last loss, which
# should agree to about two digits. It ends with an error if a run fails or a GPU was not used.
set -euo pipefail

model=${1:-sentence-transformers/all-MiniLM-L6-v2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nvidia-smi --query-gpu=name,compute_cap,memory.total --format=csv
gpus=$(nvidia-smi --query-gpu=name --format=csv,noheader | wc -l)
python - "$work/train.csv" <<'PYTHON'
import csv, random, sys

random.seed(0)
words = "card payment transfer refund limit top-up cash abroad fee lost pin app".split()
with open(sys.argv[1], "w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["text", "label"])
    for _ in range(4000):
        label = random.choice(words)
        rows.writerow([" ".join(random.choices(words, k=12) + [label] * 4), label])
PYTHON

train() {  # NAME VISIBLE_GPUS OPTION ...
  local name=$1 visible=$2
  shift 2
  local began=$SECONDS
  (cd "$work" && CUDA_VISIBLE_DEVICES=$visible timeout 110 kfp-finetune run --name "$name" \
    --dataset train.csv --model "$model" --max-steps 60 --batch-size 32 --max-length 64 "$@" >"$name.log") ||
    { tail -20 "$work/$name.log" >&2; exit 1; }
  python - "$work/runs/$name/steps/finetune/model/manifest.json" "$name" $((SECONDS - began)) <<'PYTHON'
import json, sys

manifest = json.load(open(sys.argv[1]))
environment = manifest["environment"]
assert any("GPU" in device for device in environment["devices"]), environment["devices"]
print(f"{sys.argv[2]:14} {sys.argv[3]:>4} s  {environment['precision']:9} "
      f"{environment['replicas']} replicas  loss {manifest['validation_metrics']['loss']:.3f}")
PYTHON
}

train float32 0 --precision float32
train auto 0 --precision auto
train xla 0 --precision auto --jit-compile
if [ "$gpus" -gt 1 ]; then
  train two-gpus 0,1 --precision float32
fi
