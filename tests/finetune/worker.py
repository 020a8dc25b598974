"""One of several workers, as a process of its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from kfp_finetune.components.finetune import callbacks
from kfp_finetune.components.runtime import step
from tests.finetune.runs import Run

# A process that has imported TensorFlow, and that every worker is a fork of: a second instead of
# seven. It computes nothing itself, as a process with TensorFlow's threads cannot be forked.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__])


def start(log: Path, config: dict[str, Any], spec: dict[str, Any]) -> BaseProcess:
    """Start a worker.

    Args:
        log: The file that gets what it prints.
        config: Its TF_CONFIG.
        spec: The arguments of a `Run`, and maybe `kill_at`, the update after which it kills itself.
    """
    process = _SERVER.Process(target=_work, args=(log, json.dumps(config), spec))
    process.start()
    return process


def _work(log: Path, config: str, spec: dict[str, Any]) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.environ["TF_CONFIG"] = config
    _train(**spec)


def _train(folder: Path, data: Path, model: Path, kill_at: int | None = None, **of: Any) -> None:
    real = callbacks.Clock.on_train_batch_end

    def on_train_batch_end(self: Any, batch: int, logs: Any = None) -> None:
        real(self, batch, logs)
        if self._history.updates_done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    callbacks.Clock.on_train_batch_end = on_train_batch_end
    with step("finetune"):
        Run(folder, data, model, **of)()
