"""The wrapper of every call of the Python API, which leaves the caller's process unchanged.

Environment variables are restored, an interrupted call raises `KeyboardInterrupt`, and the remedies
in errors name Python arguments.
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
        # tqdm warns about missing ipywidgets in a notebook; our progress does not use tqdm.
        warnings.filterwarnings("ignore", message="IProgress not found")
        if name == "Predictor":
            from kfp_finetune.components.quiet import import_tensorflow
            from kfp_finetune.pipelines.checks import check_installed

            check_installed()
            import_tensorflow()
        return getattr(import_module(module), name)


@contextlib.contextmanager
def same_environment() -> Iterator[None]:
    """Set the libraries' environment variables in the `with` block, and restore them at its end."""
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
        InputError: The error of the call, with Python arguments in its remedies.
        KeyboardInterrupt: If Ctrl-C interrupted the call.
        SystemExit: If another terminating signal interrupted it.
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
    """Convert the options in an InputError to arguments: `--batch-size 8` to `batch_size=8`.

    Commands are not changed, because they work when pasted into a terminal.
    """
    parts = error.as_dict()
    return type(error).from_dict(_rewritten(parts))


def _rewritten(parts: dict[str, Any]) -> dict[str, Any]:
    from kfp_finetune.components.options import as_arguments

    return {
        name: [_rewritten(part) for part in value] if name == "problems" else as_arguments(value)
        for name, value in parts.items()
    }
