"""The overhead of the pipeline: `kfp-finetune run` and a plain script, alternately.

    python benchmarks/training/pipeline.py [ROUNDS]

Trains for three epochs on all of BANKING77's training rows except 1,000, which are the validation
and test splits; nothing comes from a cache. The script calls the same functions as the steps, in
one process.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import CHECKPOINT, split

EPOCHS = 3


def main() -> None:
    """Print the seconds of both and their ratio, by round."""
    if sys.argv[1:2] == ["script"]:
        return script(Path(sys.argv[2]), *sys.argv[3:])
    ratios = []
    for number in range(1, int((sys.argv[1:] or ["3"])[0]) + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            train, held_out = map(str, split(folder, 9_003, 1_000))
            seconds = [
                _seconds([sys.executable, __file__, "script", name, train, held_out]),
                _seconds(_run(folder, train, held_out)),
            ]
        ratios.append(seconds[1] / seconds[0])
        print(
            f"round {number}: script {seconds[0]:.1f} s, pipeline {seconds[1]:.1f} s,"
            f" ratio {ratios[-1]:.3f}",
            flush=True,
        )
    print(f"median ratio {statistics.median(ratios):.3f}")


def script(folder: Path, train: str, held_out: str) -> None:
    """All the work of a run, in this process."""
    from ours import finetune, prepare

    from kfp_finetune.components.evaluate.evaluation import evaluate

    prepare(folder, train, held_out, CHECKPOINT, EPOCHS)
    finetune(folder, CHECKPOINT, EPOCHS, 42, "auto")
    evaluate(
        tokenized_dataset_path=str(folder / "data"),
        model_path=str(folder / "model"),
        metrics_path=str(folder / "metrics.json"),
        report_path=str(folder / "report.html"),
    )


def _run(folder: Path, train: str, held_out: str) -> list[str]:
    command = [str(Path(sys.executable).with_name("kfp-finetune")), "run", "--dataset", train]
    for name, value in {
        "validation_dataset": held_out,
        "test_dataset": held_out,
        "model": CHECKPOINT,
        "text_column": "text",
        "label_column": "label",
        "problem_type": "single_label_classification",
        "preset": "course",
        "num_train_epochs": EPOCHS,
        "runs_dir": folder / "runs",
    }.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    return [*command, "--no-cache"]


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
