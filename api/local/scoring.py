"""Score a model in a separate process, so that the caller's TensorFlow is not affected.

python -m kfp_finetune.local.scoring '{"name": ..., "flags": ..., ...}'
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.runtime import ERROR_LINE, parse_line
from kfp_finetune.local.evaluation import METRICS, prepare
from kfp_finetune.local.processes import ProcessGroup, interruptible
from kfp_finetune.progress.display import make_screen
from kfp_finetune.progress.failures import LoggedError
from kfp_finetune.progress.lines import Screen, clean, duration

_STEP = "evaluate"
_LINES_SHOWN = 5


def score(job: Mapping[str, Any], screen: Screen | None) -> tuple[Path, Path, Metrics]:
    """Score a model.

    Args:
        job: The arguments of `evaluation.prepare`, as JSON.
        screen: The screen that shows the progress; None for one that suits standard output.

    Returns:
        The folder of the results, the folder of the model, and the metrics.

    Raises:
        InputError: If the input is wrong; nothing is written.
        Interrupted: If a signal interrupted it; nothing is written.
        LoggedError: If it failed for another reason.
    """
    plan = prepare(**_arguments(job))
    job = {**job, "name": str(plan.model), "output": str(plan.folder), "parent": os.getpid()}
    if plan.run is not None:
        job["name"] = str(plan.run.path)
    with interruptible():
        screen = screen or make_screen()
        try:
            screen.started(_STEP)
            began = time.monotonic()
            _run(job, screen)
            screen.ended(_STEP, "done", duration(time.monotonic() - began))
        finally:
            screen.close()
    return plan.folder, plan.model, metrics_artifact.read(plan.folder / METRICS)


def _run(job: Mapping[str, Any], screen: Screen) -> None:
    group = ProcessGroup(
        [sys.executable, "-m", "kfp_finetune.local.scoring", json.dumps(job)],
        dict(os.environ) | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"},
        inherited=[],
    )
    last: deque[str] = deque(maxlen=_LINES_SHOWN)
    error: dict[str, Any] | None = None
    try:
        for line in group.lines():
            parsed = parse_line(line)
            if parsed is None:
                last.append(clean(line))
            elif parsed[0] == ERROR_LINE:
                error = parsed[1]
            elif parsed[1].get("event") == "progress":
                at = parsed[1]
                screen.progress(_STEP, at["done"], at["total"], at["unit"], at["detail"])
        code = group.wait()
    except BaseException:
        deque(group.end(), maxlen=0)
        raise
    if error is not None:
        raise InputError.from_dict(error)
    if code != 0:
        raise LoggedError("the evaluation failed; last lines:" + "".join(f"\n  {x}" for x in last))


def _arguments(job: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": job["name"],
        "flags": job["flags"],
        "split": job["split"],
        "runs_dir": Path(job["runs_dir"]),
        "output": None if job["output"] is None else Path(job["output"]),
    }


def main() -> None:
    """Run the job that the command line describes.

    Raises:
        SystemExit: With code 2 if the input is wrong; the error has been printed.
    """
    job = json.loads(sys.argv[1])
    threading.Thread(target=_end_with, args=[int(job["parent"])], daemon=True).start()
    try:
        prepare(**_arguments(job)).score()
    except InputError as error:
        print(ERROR_LINE, json.dumps({"kind": "input", **error.as_dict()}), flush=True)
        raise SystemExit(InputError.exit_code) from None


def _end_with(parent: int) -> None:
    """End this process when its parent has ended."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
