"""Training speed compared with other libraries, alternately, on the same rows of BANKING77.

    make bench      # or: python benchmarks/training/bench.py [--rounds 3] [--rows 3200]
    python benchmarks/training/bench.py --accuracy

Needs ../shared (data and checkpoint). The others run in separate environments and are skipped
without them: Hugging Face Trainer with torch, transformers, datasets and accelerate, whose Python
is TORCH_PYTHON; the Hugging Face course's code with tensorflow, tf-keras, datasets and transformers
4.57.6, whose Python is COURSE_PYTHON.

Examples per second are measured from the tenth step to the last, so start-up is not counted. With
--accuracy the course's code and kfp-finetune train for three epochs on all but 1,000 rows and are
evaluated on these 1,000, with three seeds each.
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
CHECKPOINT = str(SHARED / "models" / "all-MiniLM-L6-v2")
BATCH, SKIPPED = 32, 10
ENCODER_WEIGHTS = 10.6e6  # of all-MiniLM-L6-v2, without its embeddings


def main() -> None:
    """Measure, write build/bench/training.json and, from it, the table in benchmarks/README.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=3200)
    parser.add_argument("--accuracy", action="store_true")
    given = parser.parse_args()
    work = HERE.parents[1] / "build" / "bench"
    work.mkdir(parents=True, exist_ok=True)
    if given.accuracy:
        return compare_accuracy(work)
    arguments = [*map(str, split(work, given.rows, 320)), CHECKPOINT, "1", "1"]

    found: dict[str, list[dict[str, Any]]] = {}
    for number in range(1, given.rounds + 1):
        for name, command in contenders(arguments).items():
            found.setdefault(name, []).append(run(command))
            print(f"round {number}: {name} {speed(found[name][-1]):.1f} examples/s", flush=True)
    peaks = run([sys.executable, str(HERE / "limit.py")])
    versions = {name: version(name) for name in ("tensorflow", "keras", "transformers")}
    for result in found.get("Trainer, bf16", [])[:1]:
        versions |= {f"{name} (Trainer)": text for name, text in result["versions"].items()}
    raw = {
        "processor": processor(),
        "threads": available_cpus(),
        "python": platform.python_version(),
        "versions": versions,
        "rows": given.rows,
        "peaks": peaks,
        "runs": found,
    }
    (work / "training.json").write_text(json.dumps(raw, indent=1))
    write_table(raw)


def compare_accuracy(work: Path) -> None:
    """Print the accuracy of both after three epochs, by seed."""
    files = list(map(str, split(work, 9_003, 1_000)))
    print("| seed | course | kfp-finetune |\n|---|---:|---:|")
    both = []
    for seed in ("1", "2", "3"):
        given = [*files, CHECKPOINT, "3", seed]
        both.append(
            [
                run([os.environ["COURSE_PYTHON"], str(HERE / "course.py"), *given])["accuracy"],
                run([sys.executable, str(HERE / "ours.py"), *given, "auto"])["accuracy"],
            ]
        )
        print(f"| {seed} | {both[-1][0]:.3f} | {both[-1][1]:.3f} |", flush=True)
    course, ours = (statistics.mean(column) for column in zip(*both, strict=True))
    print(f"| mean | {course:.3f} | {ours:.3f} |")


def split(work: Path, rows: int, held_out: int) -> tuple[Path, Path]:
    """Write files with the given numbers of rows for training and validation."""
    source = SHARED / "data" / "banking77" / "banking_data" / "train.csv"
    with source.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    ids = {name: i for i, name in enumerate(sorted({row["category"] for row in found}))}
    random.Random(0).shuffle(found)  # noqa: S311
    paths = work / "train.csv", work / "validation.csv"
    for path, part in zip(paths, (found[:rows], found[rows : rows + held_out]), strict=True):
        with path.open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(["text", "label"])
            out.writerows([row["text"], ids[row["category"]]] for row in part)
    return paths


def contenders(arguments: list[str]) -> dict[str, list[str]]:
    """The contenders and their commands."""
    torch = os.environ.get("TORCH_PYTHON")
    trainer = {
        f"Trainer, {how}": [torch, str(HERE / "trainer.py"), *arguments, how]
        for how in ("float32", "float32-grouped", "bf16", "bf16-grouped")
        if torch
    }
    course = os.environ.get("COURSE_PYTHON")
    return {
        **({"course": [course, str(HERE / "course.py"), *arguments]} if course else {}),
        **trainer,
        "kfp-finetune": [sys.executable, str(HERE / "ours.py"), *arguments, "auto"],
    }


def run(command: list[str]) -> dict[str, Any]:
    """Run a contender, whose last line of output is JSON."""
    variables = os.environ | {"HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


def speed(result: dict[str, Any]) -> float:
    """Examples per second."""
    ended = result["ended"]
    return float(BATCH * (len(ended) - SKIPPED) / (ended[-1] - ended[SKIPPED - 1]))


def write_table(raw: dict[str, Any]) -> None:
    """Write the results into benchmarks/README.md, between the markers."""
    readme = HERE.parent / "README.md"
    before, begin, rest = readme.read_text().partition("<!-- make bench: begin -->\n")
    _, end, after = rest.partition("<!-- make bench: end -->\n")
    lines = "\n".join(table(raw))
    readme.write_text(f"{before}{begin}\n{lines}\n\n{end}{after}")
    print(lines)


def table(raw: dict[str, Any]) -> list[str]:
    """Medians over the rounds, and the useful share of the peak of matrix products."""
    found, peaks = raw["runs"], raw["peaks"]
    medians = {name: statistics.median(map(speed, runs)) for name, runs in found.items()}
    tokens = found["kfp-finetune"][0]["tokens_per_example"]
    first = next(iter(found))
    lines = [f"| | examples/s | all rounds | of {first} | useful GFLOP/s | loss | accuracy |"]
    lines.append("|---|---:|---|---:|---:|---:|---:|")
    for name, runs in found.items():
        ratios = [speed(a) / speed(b) for a, b in zip(runs, found[first], strict=True)]
        useful = 6 * ENCODER_WEIGHTS * tokens * medians[name] / 1e9
        lines.append(
            f"| {name} | {medians[name]:.1f} | {', '.join(f'{speed(r):.1f}' for r in runs)} |"
            f" {statistics.median(ratios):.2f} | {useful:.0f} | {runs[-1]['loss']:.3f} |"
            f" {runs[-1]['accuracy']:.3f} |"
        )
    peak = ", ".join(f"{value:.0f} in {name}" for name, value in peaks.items())
    versions = ", ".join(f"{name} {value}" for name, value in raw["versions"].items())
    where = f"{raw['threads']} threads of {raw['processor'].partition(' (')[0]}"
    found_units = [name for name in ("amx_bf16", "avx512_bf16") if name in raw["processor"]]
    where += f" with {' and '.join(found_units) or 'no instructions for bfloat16'}"
    return [
        *lines,
        "",
        f"{raw['rows']:,} rows of {tokens:.1f} tokens; {where}; {versions}.",
        f"Peak of matrix products, GFLOP/s: {peak}.",
    ]


if __name__ == "__main__":
    main()
