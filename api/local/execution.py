"""Run a pipeline on this machine, and record it in run.json."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data import fingerprints
from kfp_finetune.components.runtime import parse_line
from kfp_finetune.components.storage.uris import hide, is_hidden, without_secrets
from kfp_finetune.components.temporary import temporary_folder
from kfp_finetune.local import environment
from kfp_finetune.local.checks import check
from kfp_finetune.local.containers import Image, remove_left
from kfp_finetune.local.events import Announce, Follower, StepError
from kfp_finetune.local.precision import of_run, step_parameters
from kfp_finetune.local.processes import Interrupted, ProcessGroup, interruptible
from kfp_finetune.pipelines import catalog
from kfp_finetune.pipelines.catalog import Pipeline
from kfp_finetune.progress.display import make_screen
from kfp_finetune.progress.failures import LoggedError
from kfp_finetune.progress.lines import Screen
from kfp_finetune.progress.summary import command_on, shown, summary
from kfp_finetune.runs.folder import (
    RECORD,
    Purpose,
    Repeated,
    RunError,
    RunFolder,
    Runner,
    find,
)

CACHE = ".cache"


def execute(
    pipeline: Pipeline,
    parameters: Mapping[str, Any],
    *,
    runs_dir: Path,
    name: str | None = None,
    use_cache: bool = True,
    runner: Runner = "subprocess",
    image: str | None = None,
    screen: Screen | None = None,
    rerun_of: Repeated | None = None,
    purpose: Purpose = "training",
    announce: Announce | None = None,
) -> RunFolder:
    """Run a pipeline in KFP's local runner, and show its progress.

    Args:
        pipeline: The pipeline.
        parameters: A value for every parameter except the fingerprints; None if it is unset.
        runs_dir: The folder of runs.
        name: The run's name; None for the dataset's name and the time.
        use_cache: Whether to reuse finished steps of earlier runs and to cache this run's steps.
        runner: "subprocess" for processes of this machine, or "docker" for containers.
        image: The image of the containers; None for the one that `make image` builds.
        screen: The screen that shows the progress; None for one that suits standard output.
        rerun_of: The run that this one repeats with changes.
        purpose: What the run is for.
        announce: Given the outputs of load_data, returns a sentence to show before training.

    Returns:
        The run.

    Raises:
        InputError: If the input is wrong; also recorded in run.json if that exists already.
        Interrupted: If a signal interrupted the run.
        LoggedError: If anything else failed.
    """
    found = check(pipeline, parameters, runs_dir, name, runner=runner, image=image)
    folder = RunFolder.create(runs_dir, name, pipeline.name, dict(parameters))
    with folder.running() as lock:
        record = folder.record
        record.use_cache, record.runner, record.image = use_cache, runner, image
        record.rerun_of, record.purpose = rerun_of, purpose
        record.hidden = [name for name, value in parameters.items() if is_hidden(value)]
        _execute(pipeline, folder, lock, found, screen, announce=announce)
    return folder


def resume(
    name: str,
    runs_dir: Path,
    *,
    allow_differences: bool = False,
    uris: Sequence[str] = (),
    screen: Screen | None = None,
) -> RunFolder:
    """Continue a killed, interrupted or failed run.

    Finished steps come from the cache; training continues after its last checkpoint.

    Args:
        name: The run's name, or its folder.
        runs_dir: The folder of runs.
        allow_differences: Continue even if something that determines the result differs.
        uris: The full URIs of parameters that have a user, a password or a token.
        screen: See `execute`.

    Returns:
        The run.

    Raises:
        InputError: If there is no such run, it has succeeded or is still running, its data or model
            has changed, or the input is wrong.
        Interrupted: If a signal interrupted the run.
        LoggedError: If anything else failed.
    """
    folder = RunFolder.open(find(name, runs_dir))
    with folder.running() as lock:
        folder = RunFolder.open(folder.path)  # it may have ended while waiting for the lock
        folder.check_unfinished()
        _give_back(uris, folder)
        record = folder.record
        pipeline = catalog.find(record.pipeline)
        image = check(
            pipeline, record.parameters, runs_dir, None, runner=record.runner, image=record.image
        )
        how = "any" if allow_differences else "exact"
        _execute(pipeline, folder, lock, image, screen, how)
    return folder


def _execute(
    pipeline: Pipeline,
    folder: RunFolder,
    lock: int,
    image: Image | None,
    screen: Screen | None,
    resume: str | None = None,
    announce: Announce | None = None,
) -> None:
    with interruptible():
        screen = screen or make_screen()
        try:
            _run(_Execution(pipeline, folder, lock, image, screen, resume, announce))
        except BaseException as error:
            end = Interrupted(signal.SIGPIPE) if isinstance(error, BrokenPipeError) else error
            if resume and isinstance(end, InputError):
                _advise_rerun(end, folder)
            _record_end(folder, end, screen)
            if isinstance(end, InputError | Interrupted | KeyboardInterrupt):
                raise end from None
            raise LoggedError(f"{end}\nlog: {shown(folder.log)}") from error
        finally:
            screen.close()


@dataclass(frozen=True)
class _Execution:
    """An execution of a run: the first one, or one that resumes it.

    Attributes:
        pipeline: The pipeline.
        folder: The run's folder.
        lock: The file descriptor of the run's lock.
        image: The image in which the steps run; None if they run in this environment.
        screen: The screen that shows the progress.
        resume: None for the first execution, else "exact" or "any", see `finetune`.
        announce: See `execute`.
    """

    pipeline: Pipeline
    folder: RunFolder
    lock: int
    image: Image | None
    screen: Screen
    resume: str | None
    announce: Announce | None


def _run(execution: _Execution) -> None:
    """Run the steps, and record that they succeeded."""
    folder, screen = execution.folder, execution.screen
    precision = of_run(
        folder.record.parameters,
        folder.record.environment if execution.resume else {},
        here=execution.image is None,
        gpus=environment.has_gpus(),
    )
    screen.heading(f"run {folder.record.name} in {shown(folder.path)}")
    _begin(execution, precision)
    follower = Follower(folder, screen, execution.announce)
    follower.check(_run_steps(execution, follower, precision))
    folder.record.status = "succeeded"
    folder.save()
    shutil.rmtree(folder.checkpoints, ignore_errors=True)  # the model is there
    if folder.record.purpose == "training":
        title = f"run {folder.record.name} {folder.outcome}"
        screen.summary(title, summary(folder, follower.plan))


def _begin(execution: _Execution, precision: str) -> None:
    """Update the record: fingerprints of data and model, the environment, and no steps yet.

    Raises:
        InputError: If data or model changed since the execution that is resumed exactly.
    """
    folder = execution.folder
    parameters = folder.record.parameters
    parameters |= fingerprints.pinned_revisions(parameters)
    found = {
        "dataset_fingerprint": fingerprints.of_dataset(parameters, execution.screen.heading),
        "model_fingerprint": fingerprints.of_model(parameters),
    }
    if execution.resume == "exact":
        _check_unchanged(parameters, found)
    if execution.resume:
        if execution.image is not None:
            remove_left(folder.path)
        folder.begin_again()
    folder.record.parameters |= found
    folder.record.environment = environment.describe(execution.image, precision)
    folder.save()


def _run_steps(execution: _Execution, follower: Follower, precision: str) -> int:
    """Run the steps in a process group; log and follow their output.

    Returns:
        The exit code of the local runner.
    """
    folder = execution.folder
    with (
        temporary_folder() as temporary,
        folder.log.open("a" if execution.resume else "w", encoding="utf-8", buffering=1) as log,
    ):

        def write(line: str) -> None:
            log.write(line if parse_line(line) else without_secrets(line))

        group = ProcessGroup(
            [
                sys.executable,
                "-m",
                "kfp_finetune.local.runner",
                _job(execution, temporary, precision),
            ],
            _environment(temporary),
            inherited=[execution.lock],  # the run stays locked until its steps have ended
        )
        try:
            for line in group.lines():
                write(line)
                follower.follow(line)
            return group.wait()
        except BaseException:
            for line in group.end():
                write(line)
            raise


def _job(execution: _Execution, temporary: str, precision: str) -> str:
    """The argument of the local runner, as JSON."""
    folder, image = execution.folder, execution.image
    record = folder.record
    use_cache = record.use_cache
    if use_cache and not _reusable(record.parameters):
        execution.screen.heading("not cached: changes of the data or the model cannot be detected")
        use_cache = False
    cache = folder.path.parent.absolute() / CACHE / environment.cache_name(image, precision)
    return json.dumps(
        {
            "parent": os.getpid(),
            "temporary": temporary,
            "run": str(folder.path),
            "module": execution.pipeline.module,
            "function": execution.pipeline.function,
            "image": image.id if image else None,
            "cache_root": str(cache) if use_cache else None,
            "parameters": _execution_parameters(folder, execution.resume)
            | step_parameters(record.parameters, precision),
        }
    )


def _advise_rerun(error: InputError, folder: RunFolder) -> None:
    """Name the command for the options in a step's remedy, because `resume` has none."""
    for problem in error.problems:
        if "--" in problem.remedy and "kfp-finetune" not in problem.remedy:
            problem.remedy += f"; as options of {command_on('rerun', folder)}"


def _execution_parameters(folder: RunFolder, resume: str | None) -> dict[str, str]:
    """Parameters of this execution only, which are not recorded as the run's."""
    parameters = folder.record.parameters
    found = {}
    if "checkpoint_dir" in parameters and parameters["checkpoint_dir"] is None:
        found["checkpoint_dir"] = str(folder.checkpoints)
    if "resume_from_checkpoint" in parameters and resume:
        found["resume_from_checkpoint"] = resume
    return found


def _give_back(uris: Sequence[str], folder: RunFolder) -> None:
    """Restore the URIs whose secrets are not stored.

    Raises:
        InputError: If one is missing or does not belong to the run.
    """
    record, given = folder.record, {hide(uri) for uri in uris}
    needed = {name: str(record.parameters[name]) for name in record.hidden}
    problems = [
        InputError(
            "the run was not started with this URI",
            where=f"--uri {uri}",
            expected="one of: " + (", ".join(needed.values()) or "none: no URI had secrets"),
            remedy="check the address, or omit --uri",
        )
        for uri in sorted(given - set(needed.values()))
    ]
    problems += [
        InputError(
            "the URI is stored without its user, password or token",
            where=f"{name}: {uri}",
            expected="the full URI",
            remedy=f"{command_on('resume', folder)} --uri 'FULL URI'",
        )
        for name, uri in needed.items()
        if not is_hidden(uri)
    ]
    if problems:
        raise InputError.of_all(problems)


def _check_unchanged(before: Mapping[str, Any], now: Mapping[str, str]) -> None:
    changed = [name for name, value in now.items() if before.get(name, value) != value]
    if changed:
        what = " and ".join(name.removesuffix("_fingerprint") for name in changed)
        raise InputError(
            f"the {what} has changed since the run started",
            where=", ".join(
                without_secrets(str(before[name.removesuffix("_fingerprint")])) for name in changed
            ),
            expected=f"the {what} that the run started with",
            remedy="restore it, or start a new run with kfp-finetune run",
        )


def _reusable(parameters: Mapping[str, Any]) -> bool:
    """Return True if the contents of data and model can be identified.

    A path that does not exist has no content either, but then nothing is cached.
    """
    return bool(parameters["dataset_fingerprint"] and parameters["model_fingerprint"])


def _environment(temporary: str) -> dict[str, str]:
    """The environment variables of the runner and, through it, of the steps."""
    variables = dict(os.environ)
    # It would disable caching for every task, but events come from our cache.
    variables.pop("KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT", None)
    return variables | {
        "PYTHONSAFEPATH": "1",  # a yaml.py in the working folder must not replace the library
        "PYTHONUNBUFFERED": "1",  # show events immediately
        "PYTHONUTF8": "1",
        "TMPDIR": temporary,  # KFP leaves each task's source there
        # A task's command starts python3, which must be this interpreter.
        "PATH": os.pathsep.join([_python3_in(temporary), variables.get("PATH", os.defpath)]),
    }


def _python3_in(folder: str) -> str:
    """Create a folder in which `python3` is this interpreter."""
    binaries = Path(folder, "bin")
    binaries.mkdir()
    # Not a link, because a virtual environment is found by the interpreter's path.
    script = binaries / "python3"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    script.chmod(0o755)
    return str(binaries)


def _record_end(folder: RunFolder, error: BaseException, screen: Screen) -> None:
    """Record why a run did not succeed, and remove unfinished outputs."""
    record = folder.record
    interrupted = isinstance(error, Interrupted | KeyboardInterrupt)
    record.status = "interrupted" if interrupted else "failed"
    unfinished = [name for name, step in record.steps.items() if step.status == "running"]
    for name in unfinished:
        record.steps[name].status = record.status
        shutil.rmtree(folder.steps / name, ignore_errors=True)
    if not interrupted:
        step = error.step if isinstance(error, StepError) else next(iter(unfinished), None)
        message = without_secrets(str(error)) or type(error).__name__
        record.error = RunError(step=step, message=message)
        if not isinstance(error, InputError | StepError):
            with contextlib.suppress(OSError), folder.log.open("a", encoding="utf-8") as log:
                log.write(without_secrets("".join(traceback.format_exception(error))))
    try:
        folder.save()
    except OSError as unsaved:  # e.g. a full disk; the error itself is still reported
        reason = unsaved.strerror or str(unsaved)
        screen.heading(f"{folder.path / RECORD} could not be updated: {reason}")
    try:
        for name in unfinished:
            screen.ended(name, record.status, "")
        elsewhere = record.parameters.get("checkpoint_dir") and not isinstance(error, InputError)
        if elsewhere or folder.can_be_resumed():
            screen.heading(f"to continue: {command_on('resume', folder)}")
    except BrokenPipeError:
        pass
