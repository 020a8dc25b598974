"""Send a signal at an exact moment of training. Python imports this file at startup.

`KILL_AT` is "EVENT:COUNT:SIGNAL:PIDFILE": at the COUNT-th EVENT of a process, SIGNAL is sent to the
process whose id is in PIDFILE, or to this one if PIDFILE is empty. Only Keras' and TensorFlow's
public methods are hooked, and the one function that saves a model.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

# EVENT: the module, class and method, and True to send the signal after the call.
EVENTS = {
    "update": ("keras.src.callbacks.callback_list", "CallbackList", "on_train_batch_begin", False),
    "evaluation": ("keras.src.callbacks.callback_list", "CallbackList", "on_test_batch_end", True),
    "trained": ("keras.src.callbacks.callback_list", "CallbackList", "on_train_end", True),
    "checkpoint": ("tensorflow.python.checkpoint.checkpoint", "Checkpoint", "write", True),
    "model": ("kfp_finetune.components.models.saving", "", "save", False),
}


class Hook(importlib.abc.MetaPathFinder):
    """Replaces a function of a module when the module is imported."""

    def __init__(self, event: str, count: int, number: int, pid_file: str) -> None:
        self.module, self.owner, self.name, self.after = EVENTS[event]
        self.left, self.number, self.pid_file = count, number, pid_file

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find the module with the other finders, and patch it after it is executed."""
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            run(module)
            self.patch(getattr(module, self.owner) if self.owner else module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def patch(self, owner: Any) -> None:
        """Count the calls of the function, and send the signal at the last one."""
        original = getattr(owner, self.name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs) if self.after else None
            self.left -= 1
            if self.left == 0:
                self.send()
            return result if self.after else original(*args, **kwargs)

        setattr(owner, self.name, counted)

    def send(self) -> None:
        """Send the signal, and wait for it to arrive."""
        pid = int(Path(self.pid_file).read_text()) if self.pid_file else os.getpid()
        os.kill(pid, self.number)
        time.sleep(1)


if "KILL_AT" in os.environ:
    event, count, name, pid_file = os.environ["KILL_AT"].split(":")
    sys.meta_path.insert(0, Hook(event, int(count), signal.Signals[name], pid_file))
