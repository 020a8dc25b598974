"""Locate the outputs of the steps of a cluster run.

A step writes them to PIPELINE_ROOT/PIPELINE/RUN_ID/TASK/UUID/OUTPUT. The last step of a run,
record_artifacts, writes a list of all outputs, including those from the cache. Without it, as in
failed runs and runs of version 0.1.0, the run has the locations of its own outputs and of the
inputs of later steps. Other outputs of cached steps are searched for in earlier runs (`origins`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.logs import DEFAULT_ROOT
from kfp_finetune.cli.cluster.observed import ObservedRun
from kfp_finetune.cli.cluster.origins import Origins, loop_of
from kfp_finetune.cli.cluster.sources import Sources
from kfp_finetune.cli.cluster.steps import Step
from kfp_finetune.components.errors import InputError

LOG = "executor-logs"
# Outputs of these types are numbers in KFP's database, without files.
_WITHOUT_FILES = (
    "system.Metrics",
    "system.ClassificationMetrics",
    "system.SlicedClassificationMetrics",
)
_REMOTE = ("minio://", "s3://", "gs://")
_INDEX_STEP, _INDEX = "record_artifacts", "artifacts"
_NOT_DONE = {
    "not_started": "the step never started",
    "failed": "the step failed",
    "terminated": "the step was terminated",
}


@dataclass(frozen=True)
class StepOutputs:
    """The outputs of one step.

    Attributes:
        step: The step.
        uris: The URIs of its artifacts, by name.
        logs: The URIs of its stored logs, one for each of its pods.
        origin: The id of the run that computed it; None if it ran in this run.
        missing: The reason why its artifacts cannot be fetched; "" if they can, or it has none.
    """

    step: Step
    uris: Mapping[str, str] = field(default_factory=dict)
    logs: tuple[str, ...] = ()
    origin: str | None = None
    missing: str = ""


class Outputs:
    """The outputs of one cluster run.

    Args:
        cluster: The run's cluster.
        run: The run.
        sources: The stores to read from.
        root: The pipeline root, if it is neither in the run nor the default.
    """

    def __init__(
        self, cluster: Cluster, run: ObservedRun, sources: Sources, root: str | None = None
    ) -> None:
        self._run = run
        self._sources = sources
        self._root = root
        self._origins = Origins(cluster, run)

    @property
    def place(self) -> str:
        """The folder of the run, for messages."""
        return self._folder(self._run)

    def all(self) -> list[StepOutputs]:
        """Return the outputs of the steps, in execution order."""
        index = self._index()
        given = _given(self._run)
        found: dict[str, StepOutputs] = {}
        for step in self._run.steps:
            if step.key in index:
                found[step.key] = self._recorded(step, index[step.key])
            else:
                found[step.key] = self._of(step, given.get(step.key), found)
        return list(found.values())

    def _index(self) -> dict[str, dict[str, str]]:
        """Return the URIs that record_artifacts wrote, by step and output; empty without it."""
        for step in self._run.steps:
            if step.key == _INDEX_STEP and step.state == "done":
                uri = self._of_executed(self._run, step, [_INDEX]).get(_INDEX)
                text = self._sources.read(uri) if uri else None
                index = _parsed(text, str(uri)) if text is not None else {}
                return {key: index[key] for key in index if key not in self._contradicted(index)}
        return {}

    def _contradicted(self, index: Mapping[str, Mapping[str, str]]) -> set[str]:
        """The steps for which the run has different URIs, with all trials of such a step.

        A loop returns a list, whose order the server chooses.
        """
        wrong = {
            step.task.name
            for step in self._run.steps
            for name, uri in index.get(step.key, {}).items()
            if step.outputs.get(name, uri) != uri
        }
        return {step.key for step in self._run.steps if step.task.name in wrong}

    def _recorded(self, step: Step, uris: Mapping[str, str]) -> StepOutputs:
        names = _with_files(self._run, step)
        found = {name: uris[name] for name in names if name in uris}
        # A listed path must not be on this disk, unless the run's root is.
        here = self.place.startswith("file://")
        found = {n: uri for n, uri in found.items() if here or uri.startswith(_REMOTE)}
        makers = {_run_of(uri.rpartition("/")[0]) for uri in found.values()} - {self._run.id, ""}
        return StepOutputs(
            step, found, _logs(step), origin=min(makers, default=None), missing=_gone(found, names)
        )

    def _of(self, step: Step, given: str | None, known: Mapping[str, StepOutputs]) -> StepOutputs:
        names = _with_files(self._run, step)
        if step.state == "done":
            own = self._of_executed(self._run, step, names)
            if own or not names or self._run.workflow is not None:
                return StepOutputs(step, own, _logs(step), missing=_gone(own, names))
        if step.state not in ("done", "cached"):
            why = _NOT_DONE.get(step.state, "the step has not ended")
            return StepOutputs(step, logs=_logs(step), missing=why if names else "")
        if given is not None:
            uris = {name: f"{given}/{name}" for name in names}
            return StepOutputs(step, uris, origin=_run_of(given) or None)
        if not names:
            return StepOutputs(step)
        for other, maker in self._origins.of(step, _inputs(self._run, step, known)):
            uris = self._of_executed(other, maker, names)
            if uris:
                return StepOutputs(step, uris, origin=other.id, missing=_gone(uris, names))
        return StepOutputs(
            step,
            missing="it came from the cache, and no earlier run with the same inputs was found",
        )

    def _of_executed(self, run: ObservedRun, step: Step, names: list[str]) -> dict[str, str]:
        """The URIs of the artifacts of a step that ran in this run."""
        if step.outputs:
            return {name: step.outputs[name] for name in names if name in step.outputs}
        if run.workflow is not None or "all candidates" in step.title:
            return {}
        # Without a workflow the folder is unknown: use the one with the most outputs.
        task = self._folder(run) + "/" + step.task.name
        by_folder = {f: self._sources.items(f"{task}/{f}") for f in self._sources.folders(task)}
        if not by_folder:
            return {}
        fullest = max(by_folder, key=lambda folder: len(by_folder[folder]))
        there = {item.name.split("/")[0] for item in by_folder[fullest]}
        return {name: f"{task}/{fullest}/{name}" for name in names if name in there}

    def _folder(self, run: ObservedRun) -> str:
        of_run = run.run.runtime_config.pipeline_root if run.run.runtime_config else None
        root = str(of_run or self._root or DEFAULT_ROOT).rstrip("/")
        return f"{root}/{run.pipeline}/{run.id}"


def no_outputs(run: ObservedRun, place: str) -> InputError:
    """Return the error for a run without the wanted outputs."""
    return InputError(
        f"no artifacts found for run {run.name}",
        where=place,
        expected="PIPELINE_ROOT/PIPELINE/RUN_ID/TASK/UUID/OUTPUT of a step that has succeeded",
        remedy="add --pipeline-root URI if the artifacts are elsewhere; set AWS_ENDPOINT_URL and"
        " the keys if they are in the cluster's own store",
    )


def _parsed(text: bytes, where: str) -> dict[str, dict[str, str]]:
    """The URIs in artifacts.json by output, by step; a step in a loop is TRIAL/STEP.

    Raises:
        InputError: If the content is not valid.
    """
    try:
        steps = json.loads(text)["steps"]
        found = {name: uris for name, uris in steps.items() if isinstance(uris, dict)}
        found |= {
            f"{trial}/{name}": entry["artifacts"]
            for name, trials in steps.items()
            if isinstance(trials, list)
            for trial, entry in enumerate(trials)
        }
        if not all(isinstance(uri, str) for uris in found.values() for uri in uris.values()):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            "the list of the run's artifacts cannot be read",
            where=where,
            expected="the list that the step record_artifacts writes",
            remedy="fetch the run with the version of kfp-finetune that submitted it",
        ) from None
    return found


def _with_files(run: ObservedRun, step: Step) -> list[str]:
    """The names of a step's artifacts that are files or folders."""
    components = run.spec.pipeline.get("components") or {}
    within = loop_of(run.spec, step.task)
    tasks = within[1] if within else run.spec.tasks
    component = components.get(tasks[step.task.name]["componentRef"]["name"], {})
    declared = (component.get("outputDefinitions") or {}).get("artifacts") or {}
    return [
        name
        for name in step.task.artifacts
        if declared[name]["artifactType"].get("schemaTitle") not in _WITHOUT_FILES
    ]


def _given(run: ObservedRun) -> dict[str, str]:
    """The folders of the steps whose outputs a later step received, by the steps' keys."""
    found = {}
    for step in run.steps:
        for name, (producer, output) in _producers(run, step).items():
            folder, _, last = step.inputs.get(name, "").rpartition("/")
            if last == output:
                found[producer] = folder
    return found


def _inputs(run: ObservedRun, step: Step, known: Mapping[str, StepOutputs]) -> dict[str, str]:
    """The known URIs of a step's input artifacts."""
    return {
        name: known[producer].uris[output]
        for name, (producer, output) in _producers(run, step).items()
        if producer in known and output in known[producer].uris
    }


def _producers(run: ObservedRun, step: Step) -> dict[str, tuple[str, str]]:
    """For each input artifact, the key of the step that produces it and the output's name."""
    within = loop_of(run.spec, step.task)
    tasks = within[1] if within else run.spec.tasks
    if step.task.name not in tasks:
        return {}
    trial = f"{step.task.trial}/" if within else ""
    found = {}
    for name, source in _artifacts(tasks[step.task.name]).items():
        prefix = trial
        if within and "componentInputArtifact" in source:
            source, prefix = _artifacts(within[0]).get(source["componentInputArtifact"], {}), ""
        made = source.get("taskOutputArtifact")
        if made:
            key = prefix + made["producerTask"].replace("-", "_")
            found[name] = (key, made["outputArtifactKey"])
    return found


def _artifacts(task: Mapping[str, Any]) -> dict[str, Any]:
    return (task.get("inputs") or {}).get("artifacts") or {}


def _logs(step: Step) -> tuple[str, ...]:
    uri = step.outputs.get(LOG)
    return tuple(f"{uri}-{attempt.number}" for attempt in step.attempts) if uri else ()


def _gone(found: Mapping[str, str], names: list[str]) -> str:
    without = [name for name in names if name not in found]
    return f"the location of {', '.join(without)} is unknown" if without else ""


def _run_of(folder: str) -> str:
    """The id of the run in PIPELINE_ROOT/PIPELINE/RUN_ID/TASK/UUID; "" if it is too short."""
    parts = folder.rsplit("/", 3)
    return parts[-3] if len(parts) >= 3 else ""
