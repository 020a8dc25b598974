"""One of several workers, as a process of its own: `python -m tests.finetune.worker SPEC`.

SPEC is JSON: what a `Run` takes, and maybe `kill_at`, the update after which it kills itself.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from kfp_finetune.components.finetune import callbacks
from kfp_finetune.components.runtime import step
from tests.finetune.runs import Run


def main(folder: str, data: str, model: str, kill_at: int | None = None, **settings: Any) -> None:
    real = callbacks.Clock.on_train_batch_end

    def on_train_batch_end(self: Any, batch: int, logs: Any = None) -> None:
        real(self, batch, logs)
        if self._history.updates_done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    callbacks.Clock.on_train_batch_end = on_train_batch_end
    with step("finetune"):
        Run(Path(folder), Path(data), Path(model), **settings)()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
