"""What every call of the Python API has in common: it leaves the caller's process as it was.

The environment variables are restored, an interrupted call raises `KeyboardInterrupt`, and the
remedies of errors are in terms of Python.
"""

from __future__ import annotations

import contextlib
import os
import signal
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any


def load(module: str, name: str) -> Any:
    """Import a name of the API, and restore the environment variables that its libraries set."""
    with same_environment(), warnings.catch_warnings():
        # tqdm misses ipywidgets in a notebook; the progress here is not tqdm's.
        warnings.filterwarnings("ignore", message="IProgress not found")
        if name == "Predictor":
            from kfp_finetune.components.quiet import import_tensorflow
            from kfp_finetune.pipelines.checks import check_installed

            check_installed()
            import_tensorflow()
        return getattr(import_module(module), name)


@contextlib.contextmanager
def same_environment() -> Iterator[None]:
    """Restore the environment variables at the end; within, the libraries find theirs."""
    before = dict(os.environ)
    try:
        from kfp_finetune.components import set_variables

        set_variables()
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


@contextlib.contextmanager
def call() -> Iterator[None]:
    """Run a call of the API.

    Raises:
        InputError: As the call, in Python's terms.
        KeyboardInterrupt: If Ctrl-C interrupted the call.
        SystemExit: If another signal that ends a process did.
    """
    with same_environment():
        from kfp_finetune.components.errors import InputError
        from kfp_finetune.local.processes import Interrupted

        try:
            yield
        except InputError as error:
            raise in_python(error) from None
        except Interrupted as error:
            if error.signum == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise SystemExit(error.exit_code) from None


def in_python(error: Any) -> Any:
    """An InputError with its options as arguments: `--batch-size 8` is `batch_size=8`.

    Commands stay what they are: they work when they are pasted into a terminal.
    """
    parts = error.as_dict()
    return type(error).from_dict(_rewritten(parts))


def _rewritten(parts: dict[str, Any]) -> dict[str, Any]:
    from kfp_finetune.components.options import as_arguments

    return {
        name: [_rewritten(part) for part in value] if name == "problems" else as_arguments(value)
        for name, value in parts.items()
    }
