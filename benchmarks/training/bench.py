"""Training speed beside other ways to do the job, in turns, on the same rows of BANKING77.

    make bench      # or: python benchmarks/training/bench.py [--rounds 3] [--rows 3200]

Needs ../shared (data and checkpoint) and, for Hugging Face Trainer, an environment with torch,
transformers, datasets and accelerate, whose Python is TORCH_PYTHON; without it, it is left out.
Examples per second are those between the tenth update and the last: start-up is not counted.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import random
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kfp_finetune.components.runtime import available_cpus, processor

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared"
BATCH, SKIPPED = 32, 10
ENCODER_WEIGHTS = 10.6e6  # of all-MiniLM-L6-v2, its embeddings left out


def main() -> None:
    """Measure, write build/bench/training.json and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=3200)
    given = parser.parse_args()
    work = HERE.parents[1] / "build" / "bench"
    work.mkdir(parents=True, exist_ok=True)
    files = split(work, given.rows)
    arguments = [*map(str, files), str(SHARED / "models" / "all-MiniLM-L6-v2"), "1", "1"]

    found: dict[str, list[dict[str, Any]]] = {}
    for number in range(1, given.rounds + 1):
        for name, command in contenders(arguments).items():
            found.setdefault(name, []).append(run(command))
            print(f"round {number}: {name} {speed(found[name][-1]):.1f} examples/s", flush=True)
    peaks = run([sys.executable, str(HERE / "limit.py")])
    packages = ("tensorflow", "tf-keras", "transformers", "numpy")
    raw = {
        "processor": processor(),
        "threads": available_cpus(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "rows": given.rows,
        "peaks": peaks,
        "runs": found,
    }
    (work / "training.json").write_text(json.dumps(raw, indent=1))
    print("\n".join(table(found, peaks)))


def split(work: Path, rows: int) -> tuple[Path, Path]:
    """Write so many rows to train on, and 320 to validate on."""
    source = SHARED / "data" / "banking77" / "banking_data" / "train.csv"
    with source.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    ids = {name: i for i, name in enumerate(sorted({row["category"] for row in found}))}
    random.Random(0).shuffle(found)  # noqa: S311
    paths = work / "train.csv", work / "validation.csv"
    for path, part in zip(paths, (found[:rows], found[rows : rows + 320]), strict=True):
        with path.open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(["text", "label"])
            out.writerows([row["text"], ids[row["category"]]] for row in part)
    return paths


def contenders(arguments: list[str]) -> dict[str, list[str]]:
    """What takes turns, and how it is started."""
    torch = os.environ.get("TORCH_PYTHON")
    trainer = {
        f"Trainer, {how}": [torch, str(HERE / "trainer.py"), *arguments, how]
        for how in ("float32", "float32-grouped", "bf16", "bf16-grouped")
        if torch
    }
    return {
        "course": [sys.executable, str(HERE / "course.py"), *arguments],
        **trainer,
        "kfp-finetune": [sys.executable, str(HERE / "ours.py"), *arguments, "auto"],
    }


def run(command: list[str]) -> dict[str, Any]:
    """Run a contender; the last line that it prints is JSON."""
    variables = os.environ | {"HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


def speed(result: dict[str, Any]) -> float:
    """Examples per second."""
    ended = result["ended"]
    return float(BATCH * (len(ended) - SKIPPED) / (ended[-1] - ended[SKIPPED - 1]))


def table(found: dict[str, list[dict[str, Any]]], peaks: dict[str, float]) -> list[str]:
    """Medians over the rounds, and how much of the matrix units' peak is useful work."""
    medians = {name: statistics.median(map(speed, runs)) for name, runs in found.items()}
    tokens = found["kfp-finetune"][0]["tokens_per_example"]
    lines = ["| | examples/s | all rounds | of the course | useful GFLOP/s | loss | accuracy |"]
    lines.append("|---|---:|---|---:|---:|---:|---:|")
    for name, runs in found.items():
        ratios = [speed(a) / speed(b) for a, b in zip(runs, found["course"], strict=True)]
        useful = 6 * ENCODER_WEIGHTS * tokens * medians[name] / 1e9
        lines.append(
            f"| {name} | {medians[name]:.1f} | {', '.join(f'{speed(r):.1f}' for r in runs)} |"
            f" {statistics.median(ratios):.2f} | {useful:.0f} | {runs[-1]['loss']:.3f} |"
            f" {runs[-1]['accuracy']:.3f} |"
        )
    peak = ", ".join(f"{name} {value:.0f}" for name, value in peaks.items())
    return [*lines, "", f"Peak of matrix products, GFLOP/s: {peak}"]


if __name__ == "__main__":
    main()
