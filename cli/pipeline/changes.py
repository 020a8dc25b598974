"""The parameters of a run that repeats another one with some changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.artifacts.verdict import Verdict, write_tried
from kfp_finetune.components.chosen import CHOSEN
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.not_given import is_given, left_to_choose
from kfp_finetune.pipelines import parameters as pipeline_parameters
from kfp_finetune.pipelines.parameters import EARLIER_RUNS, FILLED_IN, in_order

if TYPE_CHECKING:
    from kfp_finetune.pipelines.catalog import Pipeline

_OF_MODEL = ("model", "model_revision")
# A revision belongs to its dataset or model.
_REVISED = ("dataset", "model")


def changed(
    before: Mapping[str, Any], changes: Mapping[str, Any], pipeline: Pipeline
) -> dict[str, Any]:
    """The parameters of a run with some of them changed.

    Args:
        before: The parameters of the repeated run.
        changes: The parameters to change, with absolute paths.
        pipeline: The pipeline.

    Returns:
        A value for every parameter that is not filled in automatically.

    Raises:
        InputError: If a parameter is missing, or both runs would share the checkpoint directory.
    """
    known = pipeline_parameters.load(pipeline.definition)
    names = {p.name for p in known} - set(FILLED_IN)
    kept = {n: v for n, v in before.items() if n in names and is_given(n, v)}
    kept = {p.name: p.type(kept[p.name]) for p in known if p.name in kept}  # the API has 32.0
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
    verdict: Verdict | None, changes: Mapping[str, Any], pipeline: Pipeline
) -> dict[str, str]:
    """The parameter with the verdicts on the repeated runs.

    Args:
        verdict: The verdict on the repeated run; None if it is unknown.
        changes: The parameters that change.
        pipeline: The pipeline of both.

    Returns:
        The parameter; nothing without a verdict, or if other data is read.
    """
    steps = {p.name: p.step for p in pipeline_parameters.load(pipeline.definition)}
    reads = {name for name, step in steps.items() if step == "load_data"} - {"seed"}
    if EARLIER_RUNS not in steps or verdict is None or reads & set(changes):
        return {}
    return {EARLIER_RUNS: write_tried(verdict.as_tried())}


def kept_choices(
    chosen: Callable[[], Mapping[str, Any]],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    changes: Mapping[str, Any],
    pipeline: Pipeline,
    fingerprint: Callable[[], str],
) -> dict[str, Any]:
    """The values that the run chose, where a repetition on other data might choose others.

    On the same data the steps choose the same again; that is left to them, so that the cache has
    their results. For another model, what depends on it is chosen anew.

    Args:
        chosen: Returns the values that the repeated run has chosen, by name.
        before: Its parameters, fingerprints included.
        after: Those of the repetition.
        changes: Those that were changed; 0 asks for a new choice.
        pipeline: Whose parameters.
        fingerprint: Returns the fingerprint of the repetition's data; "" if unknown.
    """
    known = pipeline_parameters.load(pipeline.definition)
    of_data = {p.name for p in known if p.step == "load_data"} - {*_OF_MODEL, *CHOSEN}

    def differ(names: Iterable[str]) -> bool:
        return any((before.get(n) or None) != (after.get(n) or None) for n in names)

    anew = set(changes)
    if differ(_OF_MODEL):
        anew |= {"max_length", "learning_rate"}
    if differ(["optimizer", "momentum"]):
        anew.add("learning_rate")
    names = [name for name in left_to_choose(after) if name in after and name not in anew]
    if not names or not (differ(of_data - {*FILLED_IN}) or fingerprint() != _content(before)):
        return {}
    found = chosen()
    return {name: found[name] for name in names if name in found}


def _content(parameters: Mapping[str, Any]) -> str | None:
    """The fingerprint of a run's data; None if it is unknown, which equals no other."""
    return parameters.get("dataset_fingerprint") or None


def print_kept(kept: Mapping[str, Any]) -> None:
    """Print which choices of the repeated run are kept."""
    if kept:
        values = ", ".join(f"{name} {value:g}" for name, value in kept.items())
        print(f"kept from the repeated run: {values} (0 chooses anew)", flush=True)


def steps_reused(
    tasks: Mapping[str, Any],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    ignored: tuple[str, ...] = (),
) -> Iterator[str]:
    """The steps with the same inputs in two runs, which can come from the cache.

    Args:
        tasks: The tasks of the compiled pipeline.
        before: The parameters of one run, including the fingerprints.
        after: The parameters of the other run.
        ignored: Parameters that are not part of the cache key.
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
    """Return True if a task may come from the cache; loops have no such setting."""
    is_loop = "parameterIterator" in task
    return is_loop or bool((task.get("cachingOptions") or {}).get("enableCache"))


def print_reused(
    spec: Mapping[str, Any],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    ignored: tuple[str, ...] = (),
) -> None:
    """Print the steps that may come from the cache."""
    kept = steps_reused(spec["root"]["dag"]["tasks"], before, after, ignored)
    print("from the cache, if available: " + (", ".join(kept) or "nothing"), flush=True)
