"""Run a pipeline with KFP's local runner, in a separate process that the CLI can end.

    python -m kfp_finetune.local.runner '{"run": ..., "module": ..., ...}'

It prints the output of KFP and the steps; lines for the CLI are events (`runtime.emit`).
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from kfp_finetune.components.runtime import ERROR_LINE, EVENT_LINE, available_memory, parse_line
from kfp_finetune.local.containers import Containers, remove_left
from kfp_finetune.runs.folder import RunFolder

# The steps that a run of this purpose does without.
_LEFT_OUT = {"range_test": ("evaluate",)}
_terminated = threading.Event()


def main() -> None:
    """Run the job that the command line describes.

    Raises:
        SystemExit: With code 1 if the pipeline failed; the reason has been printed.
    """
    job = json.loads(sys.argv[1])
    temporary = Path(job["temporary"])
    _end_with(int(job["parent"]), temporary, Path(job["run"]) if job["image"] else None)
    # Wait for a step that is ending rather than leave it behind. (Unlike SIG_IGN, a handler is not
    # inherited by the steps.)
    signal.signal(signal.SIGTERM, lambda *_: _terminated.set())
    notes = _NoteTaker(sys.stdout)
    sys.stdout = notes
    folder = RunFolder.open(Path(job["run"]))
    pipeline = getattr(import_module(job["module"]), job["function"])
    cache_root = Path(job["cache_root"]) if job["cache_root"] else None
    folder.record.parameters |= job["parameters"]
    containers = None
    if job["image"]:
        given = folder.record.parameters
        containers = Containers(job["image"], folder.path, given, temporary, _terminated)
    run(pipeline, folder, cache_root, notes, containers)


def run(
    pipeline: Any,
    folder: RunFolder,
    cache_root: Path | None,
    notes: _NoteTaker,
    containers: Containers | None,
) -> None:
    """Run a pipeline in a run's folder.

    Args:
        pipeline: A `@dsl.pipeline` function.
        folder: The run, whose record has the parameters.
        cache_root: The cache's folder; None for no cache.
        notes: Standard output, which records the steps' notes.
        containers: The containers of the steps; None for processes of this machine.

    Raises:
        RuntimeError: If a step fails.
    """
    from google.protobuf import json_format
    from kfp import local
    from kfp.local import pipeline_orchestrator
    from kfp.pipeline_spec import pipeline_spec_pb2

    from kfp_finetune.local.cache import StepCache

    set_parameters = {k: v for k, v in folder.record.parameters.items() if v is not None}
    spec = json_format.MessageToDict(pipeline.pipeline_spec)
    tasks = spec["root"]["dag"]["tasks"]
    tasks.pop("record-artifacts", None)  # artifacts are in the run's folder
    for step in _LEFT_OUT.get(folder.record.purpose, ()):
        tasks.pop(step)
    for task in tasks.values():
        if "parameterIterator" in task:  # parallel trainings would share the processor
            task["iteratorPolicy"] = {"parallelismLimit": 1}
    cache = _StoppableCache(StepCache(folder.steps, folder.record.name, cache_root, notes.taken_of))

    local.init(
        runner=local.DockerRunner() if containers else local.SubprocessRunner(use_venv=False),
        pipeline_root=str(folder.path),
        enable_caching=True,
    )
    _take_over(cache, containers)
    # Not `load_component_from_text(...)()`, which confuses a pipeline with its step of that name.
    pipeline_orchestrator.run_local_pipeline(
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec()), set_parameters
    )


def _take_over(cache: _StoppableCache, containers: Containers | None) -> None:
    """Replace private parts of kfp. No other file does this, and kfp is pinned for it.

    - The cache: KFP uses ours before every task.
    - The folders of artifacts: RUN/steps/STEP/OUTPUT, not RUN/PIPELINE-TIMESTAMP/STEP/OUTPUT.
    - The search for "python3": KFP replaces it anywhere in a command, including paths in
      arguments. Here the interpreter is found on the PATH, which the CLI sets.
    - The folders of a loop's trials: RUN/steps/TRIAL/STEP/OUTPUT. The cache gets the current trial
      before every task.
    - A trial's input from a task before the loop, for which KFP would pass the loop's item.
    - The start of a container, and the message for a step that was ended by a signal.
    """
    from kfp.local import cache as kfp_cache
    from kfp.local import docker_task_handler, executor_input_utils, subprocess_task_handler
    from kfp.local.orchestrator import task_executor, task_spec_utils

    from kfp_finetune.local.cache import folder_of_trial, step_name
    from kfp_finetune.runs.folder import STEPS

    execute = task_executor.execute_single_task

    def execute_in_trial(*, pipeline_resource_name: str, **task: Any) -> Any:
        cache.enter(pipeline_resource_name)
        cache.step = step_name(task["task_spec"].component_ref.name)
        return execute(pipeline_resource_name=pipeline_resource_name, **task)

    make_trial = task_spec_utils.create_parameter_loop_iteration_task_spec

    def make_whole_trial(task: Any, item: Any, name: str) -> Any:
        trial = make_trial(task, item, name)
        for key, value in task.inputs.parameters.items():
            if value.HasField("task_output_parameter"):
                trial.inputs.parameters[key].CopyFrom(value)
        return trial

    task_executor.execute_single_task = execute_in_trial
    task_spec_utils.create_parameter_loop_iteration_task_spec = make_whole_trial
    task_spec_utils.get_nested_pipeline_resource_name = folder_of_trial
    kfp_cache.get_local_cache = lambda: cache
    executor_input_utils.get_local_pipeline_resource_name = lambda _pipeline: STEPS
    executor_input_utils.get_local_task_resource_name = step_name
    subprocess_task_handler.replace_python_executable = lambda command, _python: command
    subprocess_task_handler.run_local_subprocess = _explained(
        subprocess_task_handler.run_local_subprocess, _peak, cache
    )
    if containers is not None:
        docker_task_handler.run_docker_container = _explained(containers.run, lambda: 0, cache)


def _explained(
    run: Callable[..., int], peak: Callable[[], int], cache: _StoppableCache
) -> Callable[..., int]:
    """Wrap a function that runs a step, and report if the step was ended by somebody's signal."""

    def explained(*args: Any, **kwargs: Any) -> int:
        code = run(*args, **kwargs)
        # A shell or Docker adds 128. A step that gets SIGTERM reports it itself.
        signum = -code if code < 0 else code - 128
        by_signal = signum in signal.valid_signals() and signum != signal.SIGTERM
        if by_signal and not _terminated.is_set():
            line = json.dumps({"kind": "killed", "found": killed(signum, peak(), cache.step)})
            print(ERROR_LINE, line, flush=True)
        return code

    return explained


def _peak() -> int:
    """The peak memory, in bytes, of any process of the steps so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


def killed(signum: int, peak: int, step: str) -> str:
    """Describe how a step was ended by a signal.

    Args:
        signum: The signal.
        peak: Its peak memory in bytes; 0 if unknown.
        step: The name of the step.
    """
    by = f"killed by signal {signum}"
    if signum != signal.SIGKILL:
        return f"{by} ({signal.strsignal(signum)})"
    memory = available_memory()
    had = f"; it used up to {peak / 1e9:.1f} GB" if peak else ""
    had += f" of {memory / 1e9:.1f} GB" if peak and memory else ""
    # The memory of other steps does not depend on these parameters.
    less = "; a smaller --batch-size or --max-length needs less"
    return f"{by}, probably out of memory{had}" + less * (step in ("finetune", "evaluate"))


class _StoppableCache:
    """A cache that starts no more tasks after the process got a signal to end."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        self.enter = cache.enter
        self.get = cache.get
        self.put = cache.put
        self.step = ""  # the next or the running step

    def compute_key(self, **task: Any) -> str:
        if _terminated.is_set():
            raise SystemExit(1)
        key: str = self._cache.compute_key(**task)
        return key


class _NoteTaker:
    """Standard output that records the notes among the lines written to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._notes: dict[str, list[str]] = {}

    def write(self, text: str) -> int:
        if EVENT_LINE in text:
            parsed = parse_line(text)
            if parsed and parsed[1].get("event") == "note":
                self._notes.setdefault(parsed[1]["step"], []).append(parsed[1]["text"])
        return self._stream.write(text)

    def taken_of(self, step: str) -> list[str]:
        """Return and forget a step's notes; in a loop, the next step has the same name."""
        return self._notes.pop(step, [])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _end_with(parent: int, temporary: Path, run_in_containers: Path | None) -> None:
    """End this process and its steps when the CLI has ended, even if it was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        if run_in_containers is not None:
            _terminated.set()  # starts no other container
            remove_left(run_in_containers)
        shutil.rmtree(temporary, ignore_errors=True)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
