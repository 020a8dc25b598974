"""The parameters of a run that repeats another one with some changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.artifacts.verdict import write_tried
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.not_given import is_given
from kfp_finetune.pipelines import parameters as pipeline_parameters
from kfp_finetune.pipelines.parameters import EARLIER_RUNS, FILLED_IN, in_order

if TYPE_CHECKING:
    from kfp_finetune.pipelines.catalog import Pipeline
    from kfp_finetune.runs.folder import RunRecord

# Revisions belong to what they are of.
_REVISED = ("dataset", "model")


def changed(
    before: Mapping[str, Any], changes: Mapping[str, Any], pipeline: Pipeline
) -> dict[str, Any]:
    """The parameters of a run with some of them changed.

    Args:
        before: The parameters that it was begun with.
        changes: The parameters to change, paths made absolute.
        pipeline: Whose parameters.

    Returns:
        A value for every parameter that is not filled in.

    Raises:
        InputError: If something is missing, or would be shared that must not be.
    """
    known = pipeline_parameters.load(pipeline.definition)
    names = {p.name for p in known} - set(FILLED_IN)
    kept = {n: v for n, v in before.items() if n in names and is_given(n, v)}
    kept = {p.name: p.type(kept[p.name]) for p in known if p.name in kept}  # the API gives 32.0
    for name in _REVISED:
        if changes.get(name, kept.get(name)) != kept.get(name):
            kept.pop(f"{name}_revision", None)
    if changes.get("dataset", kept.get("dataset")) != kept.get("dataset"):
        kept.pop("dataset_config", None)
    after = pipeline_parameters.complete(known, {**kept, **changes})
    shared = after.get("checkpoint_dir")
    if (
        shared
        and shared == kept.get("checkpoint_dir")
        and after["resume_from_checkpoint"] == "retry"
    ):
        raise InputError(
            "checkpoint_dir belongs to the repeated run",
            where=f"checkpoint_dir: {shared}",
            expected="one checkpoint directory per run",
            remedy="add --checkpoint-dir with another folder",
        )
    return after


def earlier_runs(
    record: RunRecord, changes: Mapping[str, Any], pipeline: Pipeline
) -> dict[str, str]:
    """The parameter by which a rerun knows the verdicts on the runs that it repeats.

    Args:
        record: The record of the repeated run.
        changes: The parameters that change.
        pipeline: The pipeline of both.

    Returns:
        Nothing if the run was not judged, or if other data is read: its verdict says nothing then.
    """
    steps = {p.name: p.step for p in pipeline_parameters.load(pipeline.definition)}
    reads = {name for name, step in steps.items() if step == "load_data"} - {"seed"}
    if EARLIER_RUNS not in steps or record.verdict is None or reads & set(changes):
        return {}
    return {EARLIER_RUNS: write_tried(record.verdict.as_tried())}


def steps_reused(
    tasks: Mapping[str, Any],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    ignored: tuple[str, ...] = (),
) -> Iterator[str]:
    """The steps whose inputs are the same in two runs, so that the cache has them.

    Args:
        tasks: Those of the compiled pipeline.
        before: One run's parameters, fingerprints included.
        after: The other's.
        ignored: Parameters that are no part of the cache's key.
    """
    names = (before.keys() | after.keys()) - set(ignored)
    differing = {name for name in names if before.get(name) != after.get(name)}
    affected: set[str] = set()
    for name in in_order(tasks):
        inputs = tasks[name].get("inputs", {}).get("parameters", {}).values()
        given = {source.get("componentInputParameter") for source in inputs}
        if (
            not _may_be_cached(tasks[name])
            or given & differing
            or affected & set(tasks[name].get("dependentTasks", []))
        ):
            affected.add(name)
        else:
            yield name.replace("-", "_")


def _may_be_cached(task: Mapping[str, Any]) -> bool:
    """Whether a task may come from the cache; loops have no setting of their own."""
    is_loop = "parameterIterator" in task
    return is_loop or bool((task.get("cachingOptions") or {}).get("enableCache"))


def print_reused(
    spec: Mapping[str, Any],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    ignored: tuple[str, ...] = (),
) -> None:
    """Print the steps that the cache can serve; it may have lost them."""
    kept = steps_reused(spec["root"]["dag"]["tasks"], before, after, ignored)
    print("from the cache, if still there: " + (", ".join(kept) or "nothing"), flush=True)
