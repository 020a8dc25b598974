"""Runs a pipeline on this machine and keeps its record."""

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
    """Run a pipeline in KFP's local runner and show how it goes.

    Args:
        pipeline: Which.
        parameters: A value for every parameter but the fingerprints; None for what is unset.
        runs_dir: Where the run's folder is made.
        name: The run's name; None for the dataset's name and the time.
        use_cache: Whether finished steps of earlier runs are taken over, and this run's are kept.
        runner: Whether steps are processes of this machine or Docker containers.
        image: The containers' image; None: the one that `make image` builds.
        screen: Where progress is shown; None: where standard output goes.
        rerun_of: The run that this one repeats with changes.
        purpose: What the run is for.
        announce: Given the outputs of load_data, returns a sentence to show before training.

    Returns:
        The run.

    Raises:
        InputError: If the input is wrong; run.json says so too, if there is one yet.
        Interrupted: If a signal ended it.
        LoggedError: For anything else.
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
    """Go on with a run that was killed, interrupted or failed.

    Finished steps come from the cache; training goes on after its last checkpoint.

    Args:
        name: The run's name, or its folder.
        runs_dir: The folder of runs.
        allow_differences: Go on also where something differs that determines the result.
        uris: Those of its URIs that have a user, a password or a token.
        screen: As `execute`.

    Returns:
        The run.

    Raises:
        InputError: If there is no such run, it has succeeded or is still going, or its data or
            model have changed; else as `execute`.
        Interrupted: As `execute`.
        LoggedError: As `execute`.
    """
    folder = RunFolder.open(find(name, runs_dir))
    with folder.running() as lock:
        folder = RunFolder.open(folder.path)  # it may have ended while it was waited for
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
            _run(_Attempt(pipeline, folder, lock, image, screen, resume, announce))
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
class _Attempt:
    """One attempt at a run: the first, or one that resumes it.

    Attributes:
        pipeline: The pipeline.
        folder: The run's folder.
        lock: The file descriptor that holds the run.
        image: The image in which the steps run; None: they run in this environment.
        screen: Where progress is shown.
        resume: None for the first attempt; else "exact" or "any", as for `finetune`.
        announce: As `execute`.
    """

    pipeline: Pipeline
    folder: RunFolder
    lock: int
    image: Image | None
    screen: Screen
    resume: str | None
    announce: Announce | None


def _run(attempt: _Attempt) -> None:
    """Run the steps, and record that they succeeded."""
    folder, screen = attempt.folder, attempt.screen
    precision = of_run(
        folder.record.parameters,
        folder.record.environment if attempt.resume else {},
        here=attempt.image is None,
        gpus=environment.has_gpus(),
    )
    screen.heading(f"run {folder.record.name} in {shown(folder.path)}")
    _begin(attempt, precision)
    follower = Follower(folder, screen, attempt.announce)
    follower.check(_run_steps(attempt, follower, precision))
    folder.record.status = "succeeded"
    folder.save()
    shutil.rmtree(folder.checkpoints, ignore_errors=True)  # the model is there
    if folder.record.purpose == "training":
        title = f"run {folder.record.name} {folder.outcome}"
        screen.summary(title, summary(folder, follower.plan))


def _begin(attempt: _Attempt, precision: str) -> None:
    """Bring the record up to date: content of data and model, environment, and no steps yet.

    Raises:
        InputError: If data or model have changed since an attempt that is resumed exactly.
    """
    folder = attempt.folder
    parameters = folder.record.parameters
    parameters |= fingerprints.pinned_revisions(parameters)
    found = {
        "dataset_fingerprint": fingerprints.of_dataset(parameters, attempt.screen.heading),
        "model_fingerprint": fingerprints.of_model(parameters),
    }
    if attempt.resume == "exact":
        _check_unchanged(parameters, found)
    if attempt.resume:
        if attempt.image is not None:
            remove_left(folder.path)
        folder.begin_again()
    folder.record.parameters |= found
    folder.record.environment = environment.describe(attempt.image, precision)
    folder.save()


def _run_steps(attempt: _Attempt, follower: Follower, precision: str) -> int:
    """Run the steps in a process group, and log and follow what they print.

    Returns:
        The exit code of the local runner.
    """
    folder = attempt.folder
    with (
        temporary_folder() as temporary,
        folder.log.open("a" if attempt.resume else "w", encoding="utf-8", buffering=1) as log,
    ):

        def write(line: str) -> None:
            log.write(line if parse_line(line) else without_secrets(line))

        group = ProcessGroup(
            [
                sys.executable,
                "-m",
                "kfp_finetune.local.runner",
                _job(attempt, temporary, precision),
            ],
            _environment(temporary),
            inherited=[attempt.lock],  # the run is held until its steps are gone
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


def _job(attempt: _Attempt, temporary: str, precision: str) -> str:
    """The argument of the local runner, as JSON."""
    folder, image = attempt.folder, attempt.image
    record = folder.record
    use_cache = record.use_cache
    if use_cache and not _reusable(record.parameters):
        attempt.screen.heading("not cached: changes of the data or the model cannot be detected")
        use_cache = False
    cache = folder.path.parent.absolute() / CACHE / environment.cache_name(image, precision)
    return json.dumps(
        {
            "parent": os.getpid(),
            "temporary": temporary,
            "run": str(folder.path),
            "module": attempt.pipeline.module,
            "function": attempt.pipeline.function,
            "image": image.id if image else None,
            "cache_root": str(cache) if use_cache else None,
            "parameters": _attempt_parameters(folder, attempt.resume)
            | step_parameters(record.parameters, precision),
        }
    )


def _advise_rerun(error: InputError, folder: RunFolder) -> None:
    """Say which command takes the options that a step advises: `resume` does not."""
    for problem in error.problems:
        if "--" in problem.remedy and "kfp-finetune" not in problem.remedy:
            problem.remedy += f"; as options of {command_on('rerun', folder)}"


def _attempt_parameters(folder: RunFolder, resume: str | None) -> dict[str, str]:
    """Parameters of this attempt on this machine; they are not recorded as the run's."""
    parameters = folder.record.parameters
    found = {}
    if "checkpoint_dir" in parameters and parameters["checkpoint_dir"] is None:
        found["checkpoint_dir"] = str(folder.checkpoints)
    if "resume_from_checkpoint" in parameters and resume:
        found["resume_from_checkpoint"] = resume
    return found


def _give_back(uris: Sequence[str], folder: RunFolder) -> None:
    """Take in the URIs whose secrets are not stored.

    Raises:
        InputError: If one is missing, or is none of the run's.
    """
    record, given = folder.record, {hide(uri) for uri in uris}
    needed = {name: str(record.parameters[name]) for name in record.hidden}
    problems = [
        InputError(
            "the run was not begun with this URI",
            where=f"--uri {uri}",
            expected="one of: " + (", ".join(needed.values()) or "none: no URI had secrets"),
            remedy="check the address, or leave it out",
        )
        for uri in sorted(given - set(needed.values()))
    ]
    problems += [
        InputError(
            "the URI is stored without its user, password or token",
            where=f"{name}: {uri}",
            expected="the whole URI",
            remedy=f"{command_on('resume', folder)} --uri 'THE WHOLE URI'",
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
            f"the {what} has changed since the run began",
            where=", ".join(
                without_secrets(str(before[name.removesuffix("_fingerprint")])) for name in changed
            ),
            expected="what the run was begun with",
            remedy="put it back, or start another with kfp-finetune run",
        )


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
    except OSError as unsaved:  # a full disk: the error itself is still said
        reason = unsaved.strerror or str(unsaved)
        screen.heading(f"{folder.path / RECORD} could not be brought up to date: {reason}")
    try:
        for name in unfinished:
            screen.ended(name, record.status, "")
        elsewhere = record.parameters.get("checkpoint_dir") and not isinstance(error, InputError)
        if elsewhere or folder.can_be_resumed():
            screen.heading(f"to go on: {command_on('resume', folder)}")
    except BrokenPipeError:
        pass
