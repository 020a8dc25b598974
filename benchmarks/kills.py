"""Kill the bundled sample's training at random moments, resume it, and compare the results.

    python benchmarks/kills.py [--kills 20] [--seed 1] [--work FOLDER]

Each time the command is killed with SIGKILL, which ends its steps too, and `kfp-finetune resume`
continues. At the end weights, metrics, training log and the curves in TensorBoard are compared bit
by bit with those of a run that was never killed.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

COMMAND = Path(sys.executable).with_name("kfp-finetune")
EVERY = 10
CURVES = ("train/learning_rate", "train/loss", "train/gradient_norm", "validation/loss")


def main() -> None:
    """Kill, resume, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="kills-"))
    moments = random.Random(given.seed)  # noqa: S311 - when to kill

    started = time.monotonic()
    subprocess.run([COMMAND, "run", "--name", "whole", "--runs-dir", work / "a"], check=True)
    whole = time.monotonic() - started
    command = [COMMAND, "run", "--name", "killed", "--runs-dir", work / "b"]
    command += ["--checkpoint-every-steps", str(EVERY)]
    reached, kills = 0, 0
    while kills < given.kills:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        # After training has started, or earlier, while it is loading.
        wait_for_more(work / "b" / "killed", reached, moments.choice([0, 1, 1, 1]), process)
        time.sleep(moments.uniform(0, 1))
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
        before, reached = reached, newest(work / "b" / "killed")
        print(f"kill {kills}: saved up to step {reached} (before: {before})", flush=True)
        command = [COMMAND, "resume", "killed", "--runs-dir", work / "b"]
    subprocess.run(command, check=True)
    equal = {
        name: result == results(work / "b" / "killed")[name]
        for name, result in results(work / "a" / "whole").items()
    }
    resumed_at = json.loads((work / "b" / "killed" / "run.json").read_text())["resumed_at"]
    print(f"{kills} kills; last lineage resumed at {resumed_at}; whole run {whole:.0f} s")
    print("bit-identical: " + ", ".join(f"{n} {'yes' if ok else 'NO'}" for n, ok in equal.items()))
    sys.exit(not all(equal.values()))


def newest(run: Path) -> int:
    """The step of the newest complete checkpoint; 0 if there is none."""
    markers = run.glob("checkpoints/step-*/checkpoint.json")
    return max((int(m.parent.name.removeprefix("step-")) for m in markers), default=0)


def wait_for_more(run: Path, reached: int, more: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the run has saved this many more checkpoints, or has ended."""
    while newest(run) < reached + more * EVERY and process.poll() is None:
        time.sleep(0.05)


def results(run: Path) -> dict[str, Any]:
    """Everything that must be equal."""
    model = run / "steps" / "finetune" / "model"
    record = json.loads((run / "run.json").read_text())
    logs = str(run / "steps" / "finetune" / "tensorboard_logs")
    events = EventAccumulator(logs, {"tensors": 0}).Reload()
    return {
        "weights": (model / "model.safetensors").read_bytes(),
        "metrics": (record["metrics"], record["validation_metrics"]),
        "training log": (model / "training_log.jsonl").read_text(),
        "curves": {
            tag: [(e.step, float(make_ndarray(e.tensor_proto))) for e in events.Tensors(tag)]
            for tag in CURVES
        },
    }


if __name__ == "__main__":
    main()
