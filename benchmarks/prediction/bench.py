"""Prediction speed compared with other libraries, alternately, on the same texts.

    python benchmarks/prediction/bench.py MODEL TEXTS [--rounds 3]

MODEL is the folder of a text classifier trained by a run, TEXTS a file with one text per line. The
model is exported for PyTorch and ONNX Runtime. Each contender loads it, predicts for all texts once
to warm up, and is timed on a second pass, including tokenizing but not loading. All of them process
1,024 texts at a time, sorted by length, in batches of 64. PyTorch runs in a separate environment,
whose Python is TORCH_PYTHON, and is skipped without it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Measure, and print rows per second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    command = [sys.executable, "-m", "kfp_finetune.cli.main"]
    with tempfile.TemporaryDirectory() as temporary:
        exported = {form: Path(temporary) / form for form in ("pt", "onnx")}
        for form, folder in exported.items():
            export = [*command, "export", str(given.model), "--format", form, "-o", str(folder)]
            subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
        ours, other = str(HERE / "ours.py"), str(HERE / "others.py")
        contenders = {
            "kfp-finetune": [sys.executable, ours, str(given.model), "auto"],
            "kfp-finetune, float32": [sys.executable, ours, str(given.model), "float32"],
            "ONNX Runtime": [sys.executable, other, str(exported["onnx"]), "onnx"],
        }
        if torch := os.environ.get("TORCH_PYTHON"):
            for precision in ("bfloat16", "float32"):
                contenders[f"PyTorch, {precision}"] = [torch, other, str(exported["pt"]), precision]
        found: dict[str, list[float]] = {}
        for _ in range(given.rounds):
            for name, contender in contenders.items():
                done = subprocess.run(
                    [*contender, str(given.texts)], check=True, stdout=subprocess.PIPE, text=True
                )
                found.setdefault(name, []).append(json.loads(done.stdout.splitlines()[-1]))
    for name, speeds in found.items():
        print(f"{name:24} {statistics.median(speeds):7.0f} rows/s")


if __name__ == "__main__":
    main()
