"""Print the progress of a cluster run, for `status`."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.logs import namespace_of, words
from kfp_finetune.cli.cluster.observed import ObservedRun, find
from kfp_finetune.cli.cluster.progress import Pace
from kfp_finetune.cli.cluster.reasons import Reason, of_waiting
from kfp_finetune.cli.cluster.steps import LONG_WAIT, Step
from kfp_finetune.cli.cluster.verdicts import outcome_of
from kfp_finetune.cli.cluster.watch import next_step, reasons_of
from kfp_finetune.progress.lines import clean, duration

_WIDEST = 44
# The step that represents a candidate: the first of these that exists.
_TELLING = ("failed", "waiting", "running", "starting", "terminated")


def show(cluster: Cluster, name: str) -> None:
    """Print the progress of a run.

    Raises:
        InputError: If there is no such run.
    """
    run = find(cluster, name)
    outcome = outcome_of(cluster, run)
    print(f"run {clean(run.name)} ({run.id}): {outcome.words}")
    print(cluster.link(run.id))
    rows = list(_rows(run))
    width = min(_WIDEST, max((len(title) for title, _, _ in rows), default=0))
    wide = max((len(state) for _, _, state in rows), default=0)
    reasons = reasons_of(cluster, run, [step for _, step, _ in rows if step.state == "failed"])
    for title, step, state in rows:
        seconds = step.seconds if step.state not in ("cached", "waiting", "starting") else None
        took = duration(seconds) if seconds else ""
        print(f"  {clean(title):<{width}}  {state:<{wide}}  {took}".rstrip())
        for line in _details(run, step, reasons.get(step.key)):
            print(_folded(line))
    if run.unknown:
        print(_folded(run.unknown, ""))
    if run.status in ("failed", "terminated"):
        print(next_step(cluster, run, list(reasons.values())))
    for name, text in outcome.rows:
        print(_folded(f"{name + ':':<8} {text}", ""))


def _folded(line: str, indent: str = "    ") -> str:
    """Truncate a line to the width of the terminal, if there is one."""
    if not sys.stdout.isatty():
        return indent + line
    columns = shutil.get_terminal_size().columns
    return textwrap.fill(
        line,
        max(columns, 40),
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _rows(run: ObservedRun) -> Iterator[tuple[str, Step, str]]:
    """Title, step and state of each line; one line for each step and each candidate."""
    done: set[int] = set()
    for step in run.shown:
        trial = step.task.trial
        if trial is None:
            yield step.title, step, words(step.state)
        elif trial not in done:
            done.add(trial)
            yield _candidate([s for s in run.steps if s.task.trial == trial])


def _candidate(steps: list[Step]) -> tuple[str, Step, str]:
    title = steps[0].title.rpartition(": ")[0]
    for state in _TELLING:
        for step in steps:
            if step.state == state:
                return title, step, f"{step.key.rpartition('/')[2]} {words(state)}"
    states = {step.state for step in steps}
    if states == {"not_started"}:
        return title, steps[0], words("not_started")
    if states == {"cached"}:
        return title, steps[0], words("cached")
    ran = [s for s in steps if s.state == "done"]
    if "not_started" in states:
        return title, (ran or steps)[-1], "between steps"
    return title, max(ran, key=lambda s: s.seconds or 0.0), "done"


def _details(run: ObservedRun, step: Step, reason: Reason | None) -> Iterator[str]:
    if reason is not None:
        yield from _failure(reason)
    elif step.waits:
        reason = of_waiting(step, namespace_of(run))
        yield f"for {duration(step.waited)}: {reason.text}"
        if reason.remedy and step.waited >= LONG_WAIT:
            yield f"what to do: {reason.remedy}"
    elif step.progress is not None:
        attempt = step.attempts[-1]
        pace = Pace(attempt.started)
        pace.report(*step.progress, (run.workflow and run.workflow.seen) or datetime.now(UTC))
        if estimate := pace.now():
            yield estimate.line()


def _failure(reason: Reason) -> Iterator[str]:
    yield reason.text
    for part in ("where", "expected", "remedy"):
        if reason.input_error and reason.input_error.get(part):
            yield f"{part + ':':<9} {clean(str(reason.input_error[part]))}"
    if reason.remedy:
        yield f"what to do: {reason.remedy}"
