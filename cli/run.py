"""Runs a pipeline on this machine and keeps its record."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_finetune.cli import environment
from kfp_finetune.cli.catalog import Pipeline
from kfp_finetune.cli.failures import LoggedError
from kfp_finetune.cli.follow import Follower, StepError
from kfp_finetune.cli.preflight import preflight
from kfp_finetune.cli.processes import Interrupted, ProcessGroup, interruptible
from kfp_finetune.cli.results import PAGES
from kfp_finetune.cli.run_folder import RunError, RunFolder
from kfp_finetune.cli.screen import Screen, duration, make_screen
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data import fingerprints

CACHE = ".cache"
RUNNER = "subprocess"


def execute(
    pipeline: Pipeline,
    parameters: Mapping[str, Any],
    *,
    runs_dir: Path,
    name: str | None = None,
    use_cache: bool = True,
) -> RunFolder:
    """Run a pipeline in KFP's local runner and show how it goes.

    Args:
        pipeline: Which.
        parameters: A value for every parameter but the fingerprints; None for what is unset.
        runs_dir: Where the run's folder is made.
        name: The run's name; None for the dataset's name and the time.
        use_cache: Whether finished steps of earlier runs are taken over, and this run's are kept.

    Returns:
        The run.

    Raises:
        InputError: If the input is wrong; run.json says so too, if there is one yet.
        Interrupted: If a signal ended it.
        LoggedError: For anything else.
    """
    with interruptible():
        screen = make_screen()
        folder = RunFolder.create(runs_dir, name, pipeline.name, dict(parameters))
        try:
            _run(pipeline, folder, runs_dir, use_cache, screen)
        except BaseException as error:
            end = Interrupted(signal.SIGPIPE) if isinstance(error, BrokenPipeError) else error
            _record_end(folder, end, screen)
            if isinstance(end, InputError | Interrupted):
                raise end from None
            raise LoggedError(f"{end}\nlog: {_shown(folder.log)}") from error
        finally:
            screen.close()
    return folder


def _run(
    pipeline: Pipeline, folder: RunFolder, runs_dir: Path, use_cache: bool, screen: Screen
) -> None:
    record = folder.record
    precision = str(record.parameters.get("precision") or "float32")
    screen.heading(f"run {record.name} in {_shown(folder.path)}")
    preflight(pipeline.name, record.parameters)
    record.parameters |= fingerprints.pinned_revisions(record.parameters)
    record.parameters |= {
        "dataset_fingerprint": fingerprints.of_dataset(record.parameters, screen.heading),
        "model_fingerprint": fingerprints.of_model(record.parameters),
    }
    record.environment = environment.describe(RUNNER, precision)
    folder.save()
    if use_cache and not _reusable(record.parameters):
        screen.heading("not cached: it cannot be told whether the data or the model has changed")
        use_cache = False

    cache = runs_dir.absolute() / CACHE / environment.cache_name(RUNNER, precision)
    follower = Follower(folder, screen)
    with (
        tempfile.TemporaryDirectory(prefix="kfp-finetune-") as temporary,
        folder.log.open("w", encoding="utf-8", buffering=1) as log,
    ):
        job = {
            "parent": os.getpid(),
            "temporary": temporary,
            "run": str(folder.path),
            "module": pipeline.module,
            "function": pipeline.function,
            "cache_root": str(cache) if use_cache else None,
        }
        group = ProcessGroup(
            [sys.executable, "-m", "kfp_finetune.cli.local_runner", json.dumps(job)],
            _environment(temporary),
        )
        try:
            for line in group.lines():
                log.write(line)
                follower.follow(line)
            code = group.wait()
        except BaseException:
            for line in group.end():
                log.write(line)
            raise
    follower.check(code)
    record.status = "succeeded"
    folder.save()
    screen.summary(f"run {record.name} succeeded", _summary(folder, runs_dir, follower.plan))


def _reusable(parameters: Mapping[str, Any]) -> bool:
    """Whether data and model are known by content.

    A path that is not there has no content either, but then nothing will be cached.
    """
    return bool(parameters["dataset_fingerprint"] and parameters["model_fingerprint"])


def _environment(temporary: str) -> dict[str, str]:
    """The environment variables of the runner and, through it, of the steps."""
    variables = dict(os.environ)
    # Would compile every task with caching off, and our cache is also where events come from.
    variables.pop("KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT", None)
    return variables | {
        "PYTHONSAFEPATH": "1",  # a file yaml.py in the working folder is not the library
        "PYTHONUNBUFFERED": "1",  # events come when they happen
        "PYTHONUTF8": "1",
        "TMPDIR": temporary,  # KFP leaves each task's source there
        # A task's command starts python3: it is to be the one that runs this.
        "PATH": os.pathsep.join([_python3_in(temporary), variables.get("PATH", os.defpath)]),
    }


def _python3_in(folder: str) -> str:
    """A folder in which `python3` is this interpreter, whatever it is called where it is."""
    binaries = Path(folder, "bin")
    binaries.mkdir()
    # Not a link: a virtual environment is found from the interpreter's own path.
    script = binaries / "python3"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    script.chmod(0o755)
    return str(binaries)


def _record_end(folder: RunFolder, error: BaseException, screen: Screen) -> None:
    """Leave a true record and nothing half-written of a run that did not succeed."""
    record = folder.record
    interrupted = isinstance(error, Interrupted)
    record.status = "interrupted" if interrupted else "failed"
    unfinished = [name for name, step in record.steps.items() if step.status == "running"]
    for name in unfinished:
        record.steps[name].status = record.status
        shutil.rmtree(folder.steps / name, ignore_errors=True)
    if not interrupted:
        step = error.step if isinstance(error, StepError) else next(iter(unfinished), None)
        record.error = RunError(step=step, message=str(error) or type(error).__name__)
        if not isinstance(error, InputError | StepError):
            with folder.log.open("a", encoding="utf-8") as log:
                traceback.print_exception(error, file=log)
    folder.save()
    try:
        for name in unfinished:
            screen.ended(name, record.status, "")
    except BrokenPipeError:
        pass


def _summary(folder: RunFolder, runs_dir: Path, plan: str) -> list[tuple[str, str]]:
    """The names and values that a person wants at the end."""
    record = folder.record
    rows = [("plan", plan)] if plan else []
    if record.stopped_at:
        rows.append(("stopped", f"at step {record.stopped_at.step:,}: {record.stopped_at.reason}"))
    rows += [(f"test {name}", f"{value:.4f}") for name, value in record.metrics.items()]
    rows += [
        (f"validation {name}", f"{value:.4f}") for name, value in record.validation_metrics.items()
    ]
    seconds = sum(step.seconds or 0 for step in record.steps.values())
    rows.append(("time", duration(seconds)))
    for page in PAGES.values():
        if (folder.path / page).exists():
            title = page.removesuffix(".html").replace("_", " ")
            rows.append((title, _shown(folder.path / page)))
    if "model" in record.artifacts:
        rows.append(("model", _shown(folder.path / record.artifacts["model"])))
    if "tensorboard_logs" in record.artifacts:
        command = f"kfp-finetune tensorboard {record.name}"
        rows.append(
            (
                "TensorBoard",
                command if runs_dir == Path("runs") else f"{command} --runs-dir {runs_dir}",
            )
        )
    return rows


def _shown(path: Path) -> str:
    """A path as short as it can be from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
