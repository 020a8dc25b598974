"""The verdict on a cluster run, from the log of the step that made it.

The verdict is also in metrics_json, but the pipeline root may be out of reach, and the API answers
with the log while the pod exists and later from Argo's archive. A step that came from the cache has
no log in its run; its verdict is then read from record_artifacts, which is never cached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from kfp_finetune.cli.cluster.answers import ClusterError
from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.logs import read
from kfp_finetune.cli.cluster.observed import ObservedRun
from kfp_finetune.components.artifacts.verdict import Verdict
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.runtime import parse_line
from kfp_finetune.progress.lines import clean
from kfp_finetune.progress.summary import verdict_rows

_EVALUATE, _RANK, _LAST = "evaluate", "rank", "record_artifacts"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        words: Its status, or, if it succeeded, what is wrong with its model.
        rows: Names and values for a summary: the verdict and the next command, if known.
    """

    words: str
    rows: list[tuple[str, str]]


def outcome_of(cluster: Cluster, run: ObservedRun) -> Outcome:
    """The outcome of a run, as far as the cluster tells; a comparison's is that of its best model.

    No failure to read a log is an error.
    """
    if run.status != "succeeded":
        return Outcome(run.status, [])
    if (verdict := verdict_of(cluster, run)) is not None:
        return Outcome(verdict.outcome, verdict_rows(verdict, rerun_command(cluster, run)))
    log = _events(cluster, run, _RANK)
    notes = [clean(str(fields.get("text"))) for fields in log if fields.get("event") == "note"]
    found = _verdict(log) or _verdict(_events(cluster, run, _LAST))
    if found is not None and not notes:  # rank came from the cache
        notes = [found.finding]
    words = run.status if found is None else found.outcome
    return Outcome(words, [("verdict", note) for note in notes[-1:]])


def verdict_of(cluster: Cluster, run: ObservedRun) -> Verdict | None:
    """The verdict on the training of a run; None if it is unknown, or the run is a comparison."""
    if all(step.key != _EVALUATE for step in run.steps):
        return None
    return _verdict(_events(cluster, run, _EVALUATE)) or _verdict(_events(cluster, run, _LAST))


def rerun_command(cluster: Cluster, run: ObservedRun) -> str:
    """The command that repeats a run on its cluster."""
    return f"kfp-finetune rerun {run.id}{cluster.connection.flags}"


def _verdict(events: Sequence[Mapping[str, Any]]) -> Verdict | None:
    for fields in events:
        if fields.get("event") == "verdict":
            try:
                return Verdict.model_validate(fields.get("verdict"))
            except ValidationError:  # another version of kfp-finetune ran
                return None
    return None


def _events(cluster: Cluster, run: ObservedRun, key: str) -> list[dict[str, Any]]:
    """The events in the log of a step that is done; none if the log cannot be read."""
    step = next((s for s in run.steps if s.key == key and s.state == "done"), None)
    try:
        log = read(cluster, run, step, stores=False) if step is not None else None
    except (ClusterError, InputError):
        log = None
    parsed = map(parse_line, (log or "").splitlines())
    return [found[1] for found in parsed if found is not None]
