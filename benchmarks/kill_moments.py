"""Kill a training at each critical moment, resume it, and compare with an uninterrupted run.

    python benchmarks/kill_moments.py [--work FOLDER] [MOMENT ...]

`kill_moments/sitecustomize.py` sends the signal from within the training process, at the exact
step, evaluation or checkpoint. `kfp-finetune resume` continues. Weights, metrics, training log
and the curves in TensorBoard are compared bit by bit with those of a run that was never killed.
Random moments are in kills.py.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from kills import COMMAND, results

HOOK = Path(__file__).with_suffix("")
# 12 steps per epoch, a checkpoint every 5.
BASE = ["--max-train-samples", "96", "--batch-size", "8", "--num-train-epochs", "3"]
BASE += ["--checkpoint-every-steps", "5", "--no-cache"]
ACCUMULATED = ["--gradient-accumulation-steps", "3", "--checkpoint-every-steps", "2"]
# At this rate the validation accuracy does not improve, so training stops after epoch 3 of 9.
STOPPED = ["--early-stopping-patience", "2", "--metric-for-best-model", "accuracy"]
STOPPED += ["--num-train-epochs", "9", "--learning-rate", "1e-8"]
# Each moment: event, its count, the signal, and options that differ from BASE.
MOMENTS: dict[str, tuple[str, int, str, list[str]]] = {
    "before the first step": ("update", 1, "SIGKILL", []),
    "after the first step": ("update", 2, "SIGKILL", []),
    "in the second epoch": ("update", 18, "SIGKILL", []),
    "before the last step": ("update", 36, "SIGKILL", []),
    "after the last step": ("trained", 1, "SIGKILL", []),
    "before the model is written": ("model", 1, "SIGKILL", []),
    "in an evaluation": ("evaluation", 4, "SIGKILL", []),
    "while the first checkpoint is written": ("checkpoint", 1, "SIGKILL", []),
    "while the third checkpoint is written": ("checkpoint", 3, "SIGKILL", []),
    "SIGTERM in the second epoch": ("update", 18, "SIGTERM", []),
    "SIGINT in the second epoch": ("update", 18, "SIGINT", []),
    "with accumulation": ("update", 7, "SIGKILL", ACCUMULATED),
    "with bfloat16": ("update", 18, "SIGKILL", ["--precision", "bfloat16"]),
    "with early stopping": ("update", 30, "SIGKILL", STOPPED),
}


def main() -> None:
    """Train without and with kills, compare, and print a row for each moment."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("moments", nargs="*", metavar="MOMENT", help="All if none is given.")
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="kill-moments-"))
    work.mkdir(parents=True, exist_ok=True)
    failed = False
    print("| killed | signal | exit code | resumed after step | weights, metrics, log, curves |")
    print("|---|---|---:|---:|---|", flush=True)
    for number, name in enumerate(MOMENTS):
        if given.moments and name not in given.moments:
            continue
        event, count, sign, options = MOMENTS[name]
        whole = "whole " + (" ".join(options).replace("--", "") or "run")
        whole = whole.replace(" ", "-").replace(".", "")
        if not (work / whole / "run.json").exists():
            train(["run", "--name", whole, *BASE, *options], work)
        killed = f"killed-{number}"
        code = train(
            ["run", "--name", killed, *BASE, *options], work, kill=f"{event}:{count}:{sign}"
        )
        train(["resume", killed], work)
        expected, found = results(work / whole), results(work / killed)
        differ = [part for part in expected if expected[part] != found[part]]
        failed |= bool(differ) or code == 0
        record = json.loads((work / killed / "run.json").read_text())
        resumed = ", ".join(map(str, record["resumed_at"])) or "the beginning"
        verdict = "differ: " + ", ".join(differ) if differ else "bit-identical"
        print(f"| {name} | {sign} | {code} | {resumed} | {verdict} |", flush=True)
    sys.exit(failed)


def train(arguments: list[str], work: Path, *, kill: str = "") -> int:
    """Run a command and return its exit code, which must be 0 unless it is killed.

    Signals other than SIGKILL are sent to the command, as with Ctrl-C, not to the step.
    """
    environment = dict(os.environ)
    pid = work / "command.pid"
    if kill:
        to = "" if kill.endswith("SIGKILL") else str(pid)
        environment |= {"KILL_AT": f"{kill}:{to}", "PYTHONPATH": str(HOOK)}
    command = [str(COMMAND), *arguments, "--runs-dir", str(work)]
    with (work / "output.log").open("a") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        pid.write_text(str(process.pid))
        code = process.wait()
    if code and not kill:
        raise SystemExit(f"{' '.join(command)} exited with {code}; see {work / 'output.log'}")
    return code


if __name__ == "__main__":
    main()
