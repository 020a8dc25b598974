"""The log of a step of a cluster run, from its pod or from the logs that KFP or Argo stored.

It is in three places at different times. The API reads the pod while it exists, and later Argo's
archive, except for large workflows. KFP's launcher stores a log with the step's artifacts when the
step ends. Argo stores one for every pod that ends, including those of drivers.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.observed import ObservedRun, find, named, observe
from kfp_finetune.cli.cluster.reasons import of_waiting
from kfp_finetune.cli.cluster.sources import Sources
from kfp_finetune.cli.cluster.steps import Attempt, Step
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.folder import Folder

SECONDS_BETWEEN_LOOKS = 3.0
# Kubeflow's default.
DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"
_LOG = "executor-logs"
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Wanted:
    """The log that was requested.

    Attributes:
        step: The step's name.
        candidate: In a comparison, the candidate's name or its number from 1.
        attempt: The number of the attempt, from 1; None for the last.
        root: The pipeline root, if it is neither in the run nor in its workflow.
    """

    step: str
    candidate: str | None = None
    attempt: int | None = None
    root: str | None = None


def show(cluster: Cluster, name: str, wanted: Wanted, *, follow: bool) -> None:
    """Print the log of a step.

    Args:
        cluster: The run's cluster.
        name: The run's id or name.
        wanted: The log to print.
        follow: Whether to keep printing until the step has ended.

    Raises:
        InputError: If there is no such run, step or attempt, or its log is no longer available.
    """
    run = find(cluster, name)
    chosen = choose(run, wanted, cluster.connection.flags)
    attempt = wanted.attempt
    if follow:
        end = "\n"
        for piece in _followed(cluster, run, chosen):
            _print(piece)
            end = piece[-1:]
        if end != "\n":
            print()
        return
    pods = chosen.drivers if chosen.failed_in_driver else chosen.attempts
    if chosen.failed_in_driver:
        _say(f"{chosen.title} never ran: this is the log of KFP's driver, which failed")
    number = len(pods) if attempt is None else attempt
    if attempt is not None and not 1 <= attempt <= len(pods):
        raise InputError(
            f"there is no attempt {attempt} of {chosen.title}",
            where=f"run {run.name}",
            expected=f"1 to {len(pods)}" if pods else "a step that has started",
            remedy="omit --attempt for the last one",
        )
    if attempt is None and len(pods) > 1:
        _say(f"attempt {number} of {len(pods)}; --attempt {number - 1} shows the one before")
    problems: list[str] = []
    text = read(cluster, run, chosen, number - 1, problems.append, wanted.root)
    if text is None:
        raise _no_log(cluster, run, chosen, problems)
    _print(text if text.endswith("\n") else f"{text}\n")


def read(
    cluster: Cluster,
    run: ObservedRun,
    step: Step,
    index: int = -1,
    say: Callable[[str], None] = lambda problem: None,
    root: str | None = None,
    *,
    stores: bool = True,
) -> str | None:
    """The log of one of a step's pods, or of its driver if that failed; None if it is gone.

    Args:
        cluster: The run's cluster.
        run: The run.
        step: The step.
        index: The index of the pod; by default the last.
        say: Called with the reason why a store cannot be read.
        root: The pipeline root, if it is neither in the run nor in its workflow.
        stores: Whether to read stores too, which may be slow or unreachable.
    """
    pods = step.drivers if step.failed_in_driver else step.attempts
    pod = pods[index] if pods else None
    if pod is None:
        return _by_layout(run, step, root, say) if stores else None
    text = cluster.read_log(run.id, pod.pod, run.run.created_at)
    if text is not None:
        return text
    sources = Sources(cluster)
    for folder, name in _stored(run, step, pod) if stores else ():
        try:
            content = sources.read(f"{folder}/{name}")
            if content is not None:
                return content.decode("utf-8", errors="replace")
        except InputError as error:
            say(error.found)
    return None


def _by_layout(
    run: ObservedRun, step: Step, root: str | None, say: Callable[[str], None]
) -> str | None:
    """The log of a step with unknown pods: ROOT/PIPELINE/RUN_ID/TASK/UUID/executor-logs-N.

    In a loop, the layout does not identify the trial.
    """
    if step.task.trial is not None or step.title != step.key:
        return None
    of_run = run.run.runtime_config.pipeline_root if run.run.runtime_config else None
    name = (run.spec.pipeline.get("pipelineInfo") or {}).get("name", "")
    place = f"{root or of_run or DEFAULT_ROOT}/{name}/{run.id}/{step.task.name}"
    try:
        store = Folder(place)
        logs = [file for file in store.files() if file.name.split("/")[-1].startswith(f"{_LOG}-")]
        if not logs:
            return None
        return store.read(logs[-1].name).decode("utf-8", errors="replace")
    except InputError as error:
        say(error.found)
        return None


def _stored(run: ObservedRun, step: Step, pod: Attempt) -> Iterator[tuple[str, str]]:
    """The possible locations of a stored log: folder and name."""
    if _LOG in step.outputs and not step.failed_in_driver:
        folder, _, name = step.outputs[_LOG].rpartition("/")
        yield folder, f"{name}-{pod.number}"
    if run.workflow is not None:
        archive = run.workflow.archive(pod.pod)
        if archive:
            yield archive, "main.log"


def choose(run: ObservedRun, wanted: Wanted, flags: str) -> Step:
    """Find the requested step.

    Raises:
        InputError: If there is none, or several candidates have it.
    """
    name, candidate = wanted.step.replace("-", "_"), wanted.candidate
    of_name = [s for s in run.shown if s.key.rpartition("/")[2] == name]
    if not of_name:
        names = dict.fromkeys(s.key.rpartition("/")[2] for s in run.steps)
        raise InputError(
            f"there is no step '{wanted.step}'",
            where=f"run {run.name}",
            expected="one of " + ", ".join(names) if names else run.unknown,
            remedy="give one of these",
        )
    if candidate is not None:
        of_name = [
            s
            for s in of_name
            if s.task.trial is not None
            and candidate in (s.task.candidate, str(s.task.trial + 1), named(s.task.item)["name"])
        ]
    if len(of_name) == 1:
        return of_name[0]
    trials = [s for s in run.steps if s.key.endswith(f"/{name}")]
    if not trials:
        raise InputError(
            f"{name} is not a step of a candidate",
            where="--candidate",
            expected="a step that every candidate has",
            remedy="omit --candidate",
        )
    numbered = ", ".join(f"{(s.task.trial or 0) + 1} ({s.task.candidate})" for s in trials)
    found = f"{len(of_name)} candidates have the step {name}"
    if candidate is not None:
        found = f"'{candidate}' is {'several candidates' if of_name else 'not a candidate'}"
    raise InputError(
        found,
        where=f"run {run.name}",
        expected=f"--candidate with a number or a name: {numbered}",
        remedy=f"kfp-finetune logs {run.id} {name} --candidate 1{flags}",
    )


def _followed(cluster: Cluster, run: ObservedRun, step: Step) -> Iterator[str]:
    """Yield a step's log from its start to its end; wait for it to start."""
    seen: dict[str, int] = {}
    said = ""
    while True:
        if step.attempts:
            pod = step.attempts[-1].pod
            if pod not in seen and seen:
                _say(f"{step.title}: attempt {len(step.attempts)}")
            over = step.state in ("done", "failed", "terminated")
            # The API cannot stream, so the log is requested repeatedly and new lines are printed.
            live = None if over else cluster.read_log(run.id, pod, run.run.created_at)
            text = read(cluster, run, step) if live is None else live
            if text and len(text) < seen.get(pod, 0):
                _say(f"{step.title}: the node has rotated the log; some lines may be lost")
                seen[pod] = 0
            if text is not None and len(text) > seen.get(pod, 0):
                yield text[seen.get(pod, 0) :]
                seen[pod] = len(text)
        if run.is_over or step.state in ("done", "failed", "terminated", "cached"):
            break
        why = _why(run, step)
        if why and why != said:
            _say(f"{step.title}: {why}")
        said = why
        time.sleep(SECONDS_BETWEEN_LOOKS)
        run = observe(cluster, cluster.get_run(run.id))
        step = next((s for s in run.steps if s.key == step.key), step)
    if not seen:
        text = read(cluster, run, step)
        if text is None:
            raise _no_log(cluster, run, step, [])
        yield text


def _why(run: ObservedRun, step: Step) -> str:
    if step.state == "waiting":
        return f"waiting: {of_waiting(step, namespace_of(run)).text}"
    return "not started" if step.state in ("not_started", "starting") else ""


def namespace_of(run: ObservedRun) -> str:
    """The namespace of a run's pods."""
    return (run.workflow.namespace if run.workflow else "") or "kubeflow"


def _no_log(cluster: Cluster, run: ObservedRun, step: Step, problems: list[str]) -> InputError:
    if step.state == "cached":
        return InputError(
            f"{step.title} did not run: its results came from the cache",
            where=cluster.link(run.id),
            expected="a step that ran in this run",
            remedy="read the log of the run that produced them",
        )
    if step.state in ("not_started", "starting", "waiting"):
        message = step.message and f": {of_waiting(step, namespace_of(run)).text}"
        return InputError(
            f"{step.title} has no log yet: it is {words(step.state)}{message}",
            where=cluster.link(run.id),
            expected="a step that has started",
            remedy="add --follow to wait for it"
            if not run.is_over
            else f"kfp-finetune status {run.id}{cluster.connection.flags} shows the reason",
        )
    return InputError(
        f"the log of {step.title} is no longer available"
        + "".join(f"; {problem}" for problem in dict.fromkeys(problems)),
        where=cluster.link(run.id),
        expected="its pod, or the store that KFP and Argo keep logs in",
        remedy="for the store: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY;"
        f" or kubectl logs -n {namespace_of(run)} -l pipeline/runid={run.id} -c main --tail=-1",
    )


def words(state: str) -> str:
    """A step's state in words."""
    return {"not_started": "not started", "cached": "from the cache"}.get(state, state)


def _print(text: str) -> None:
    shown: Any = _UNPRINTABLE.sub("", text) if sys.stdout.isatty() else text
    print(shown, end="", flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
