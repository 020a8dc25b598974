"""The kfp-finetune command: its list of commands and its exit codes.

Heavy imports are inside functions, so that the help appears immediately.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from kfp_finetune.cli.commands.check import check
from kfp_finetune.cli.commands.compile import compile_
from kfp_finetune.cli.commands.evaluate import evaluate
from kfp_finetune.cli.commands.export import export
from kfp_finetune.cli.commands.fetch import fetch
from kfp_finetune.cli.commands.find_lr import find_lr
from kfp_finetune.cli.commands.logs import logs
from kfp_finetune.cli.commands.predict import predict
from kfp_finetune.cli.commands.push import push
from kfp_finetune.cli.commands.rerun import rerun
from kfp_finetune.cli.commands.resume import resume
from kfp_finetune.cli.commands.run import run
from kfp_finetune.cli.commands.runs import runs
from kfp_finetune.cli.commands.schedules import schedules
from kfp_finetune.cli.commands.status import status
from kfp_finetune.cli.commands.submit import submit
from kfp_finetune.cli.commands.tensorboard import tensorboard
from kfp_finetune.cli.commands.terminate import terminate
from kfp_finetune.cli.screen.help import Command, Group
from kfp_finetune.cli.screen.usage import run_app
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.progress.failures import LoggedError, logged
from kfp_finetune.progress.lines import clean

# In the order of `kfp-finetune --help`.
COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Train": {
        "run": run,
        "resume": resume,
        "rerun": rerun,
        "check": check,
        "find-lr": find_lr,
    },
    "Runs": {"runs": runs, "tensorboard": tensorboard},
    "Use a trained model": {
        "evaluate": evaluate,
        "predict": predict,
        "export": export,
        "push": push,
    },
    "Kubeflow Pipelines": {
        "compile": compile_,
        "submit": submit,
        "status": status,
        "logs": logs,
        "fetch": fetch,
        "terminate": terminate,
        "schedules": schedules,
    },
}

app = typer.Typer(
    name="kfp-finetune",
    cls=Group,
    help="Fine-tune Hugging Face encoders on TensorFlow, as Kubeflow Pipelines steps.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich truncates long options and doubles the time of help
    context_settings={"help_option_names": ["-h", "--help"]},
)
for title, commands in COMMANDS.items():
    for name, function in commands.items():
        app.command(name, cls=Command, rich_help_panel=title)(function)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"kfp-finetune {version('kfp-finetune')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options before the command."""


def _inert(message: str) -> str:
    """Make a message, which may quote data or a library, safe to show on a terminal."""
    # Remove secrets line by line; a whole text that begins with a URI would be treated as one.
    lines = without_secrets(message).split("\n")
    return "\n".join(line[: len(line) - len(line.lstrip(" "))] + clean(line) for line in lines)


def _print_error(text: str) -> None:
    from kfp_finetune.progress.wrapping import message

    print(message(_inert(text), sys.stderr), file=sys.stderr)


def _check_working_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise InputError(
            f"the working directory cannot be used: {error.strerror}",
            where=os.environ.get("PWD", ""),
            expected="a folder that exists",
            remedy="cd to another folder; if this one was recreated: cd .",
        ) from None


def main() -> None:
    """Run the command line and exit.

    Raises:
        SystemExit: 0 success; 2 wrong input; 128 + signal; 1 anything else.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # terminals without Unicode
    try:
        _check_working_folder()
        code = run_app(app)
    except InputError as error:
        for problem in error.problems:
            _print_error(f"error: {problem}")
        raise SystemExit(InputError.exit_code) from None
    except Exception as error:
        try:
            failure = error if isinstance(error, LoggedError) else logged(error)
        except OSError:  # the log cannot be written
            raise error from None
        _print_error(f"error: {failure}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:  # before a command handles signals itself
        print("interrupted", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None
    except BaseException as error:
        signalled = getattr(error, "exit_code", None)
        if signalled is None:
            raise
        print(f"interrupted ({error})", file=sys.stderr)
        if signalled == 128 + signal.SIGPIPE:  # Python would fail to flush standard output at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(signalled) from None
    raise SystemExit(code)


if __name__ == "__main__":
    main()
