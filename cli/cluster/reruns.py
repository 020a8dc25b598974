"""Repeat a local or a cluster run on a cluster, with the options you change."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kfp_finetune.cli.cluster import submit as submitting
from kfp_finetune.cli.cluster.actions import start
from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.cluster.observed import ObservedRun, find
from kfp_finetune.cli.cluster.outputs import Outputs
from kfp_finetune.cli.cluster.platform import Platform
from kfp_finetune.cli.cluster.sources import Sources
from kfp_finetune.cli.cluster.submit import EXPERIMENT, Spec, Submission
from kfp_finetune.cli.cluster.verdicts import verdict_of
from kfp_finetune.cli.pipeline.changes import (
    changed,
    earlier_runs,
    kept_choices,
    print_kept,
    print_reused,
)
from kfp_finetune.components.artifacts.model import MANIFEST, ModelManifest
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.not_given import is_given
from kfp_finetune.pipelines import catalog
from kfp_finetune.pipelines.catalog import Pipeline
from kfp_finetune.progress.display import make_screen
from kfp_finetune.runs.folder import RECORD, RunFolder
from kfp_finetune.runs.results import used

_NUMBERED = re.compile(r"(.+)-\d{1,2}")


def rerun(
    name: str,
    changes: Mapping[str, Any],
    runs_dir: Path,
    connection: Connection,
    submission: Submission,
    platform_of: Callable[[Pipeline], Platform] | None,
    *,
    waits: bool,
) -> None:
    """Submit a run again.

    A cluster run keeps its compiled pipeline with its platform, unless a platform is given, and its
    experiment, pipeline root and service account, unless others are given.

    Args:
        name: The name or folder of a local run, or the id or name of a cluster run.
        changes: The parameters to change, with absolute paths.
        runs_dir: The folder of local runs.
        connection: The address and the credentials.
        submission: The settings of the new run.
        platform_of: Returns the platform of a pipeline; None if no platform is given.
        waits: Whether to wait until the run has ended.

    Raises:
        InputError: If there is no such run, or something is wrong with the input.
        ClusterError: If the cluster or the run fails.
    """
    screen = make_screen()
    cluster = Cluster(connection)
    local = next((p for p in (runs_dir / name, Path(name)) if (p / RECORD).is_file()), None)
    record = RunFolder.open(local).record if local is not None else None
    fetched = record.environment.get("cluster_run") if record is not None else None
    if record is not None and not fetched:
        pipeline, before, run = catalog.find(record.pipeline), record.parameters, None
    else:
        run = find(cluster, fetched or name)
        pipeline, before = _pipeline(run), run.parameters
        submission = _as_before(cluster, run, submission)
    platform = platform_of(pipeline) if platform_of is not None else Platform()
    keeps = run is not None and platform_of is None
    spec = run.spec if run is not None and keeps else submitting.compiled_spec(pipeline, platform)
    after = changed(before, changes, pipeline)
    verdict = record.verdict if record is not None else None
    if record is None and run is not None:
        verdict = verdict_of(cluster, run)
    after |= earlier_runs(verdict, changes, pipeline)
    submitting.check(pipeline, after, submission)
    arguments = submitting.prepare(after, platform, submission, screen.heading)
    kept = kept_choices(
        lambda: record.chosen if record is not None else _chosen(cluster, run, screen.heading),
        before,
        after,
        changes,
        pipeline,
        lambda: arguments.get("dataset_fingerprint", ""),
    )
    print_kept(kept)
    arguments |= kept
    if spec.version is not None and not _is_registered(cluster, *spec.version):
        spec = replace(spec, version=None)
    if keeps:
        arguments = _known(arguments, changes, spec)
        if submission.use_cache:
            print_reused(spec.pipeline, _given(before), arguments)
    start(cluster, arguments, spec, submission, screen, waits=waits)


def _pipeline(run: ObservedRun) -> Pipeline:
    """The installed pipeline with the name of a run's pipeline."""
    name = catalog.called_by(run.pipeline)
    if name not in catalog.PIPELINES:
        raise InputError(
            f"run {run.name} ran the pipeline '{name}'"
            if name
            else f"the pipeline of run {run.name} is unknown: its version has been deleted",
            where="rerun",
            expected="a run of " + " or ".join(catalog.PIPELINES),
            remedy="clone it in Kubeflow's UI" if name else "submit it again with kfp-finetune",
        )
    return catalog.PIPELINES[name]


def _chosen(
    cluster: Cluster, run: ObservedRun | None, say: Callable[[str], None]
) -> dict[str, int | float]:
    """The values that a run used where none were given, from its model; empty if unknown."""
    if run is None:
        return {}
    sources = Sources(cluster)
    try:
        trained = (step.uris.get("model") for step in Outputs(cluster, run, sources).all())
        uri = next(filter(None, trained), None)
        text = sources.read(f"{uri}/{MANIFEST}") if uri else None
        if text is not None:
            return used(ModelManifest.model_validate_json(text))
        why = "it has left no model"
    except ValidationError:
        why = "another version wrote its model"
    except InputError as error:
        why = error.found
    say(f"values that run {run.name} chose are chosen anew: {why}")
    return {}


def _as_before(cluster: Cluster, run: ObservedRun, submission: Submission) -> Submission:
    """The settings with which a run was started, unless others are given."""
    config = run.run.runtime_config
    return replace(
        submission,
        name=submission.name or _next_name(cluster, run.name),
        experiment_id=run.run.experiment_id if submission.experiment == EXPERIMENT else None,
        pipeline_root=submission.pipeline_root or (config.pipeline_root if config else None),
        service_account=submission.service_account or run.run.service_account,
    )


def _is_registered(cluster: Cluster, pipeline_id: str, version_id: str) -> bool:
    try:
        cluster.version(pipeline_id, version_id)
    except InputError:  # it has been deleted
        return False
    return True


def _next_name(cluster: Cluster, name: str) -> str:
    """The name with the first free number: "first-2", then "first-3"."""
    numbered = _NUMBERED.fullmatch(name)
    if numbered and any(cluster.runs(name=numbered[1])):
        name = numbered[1]
    number = 2
    while any(cluster.runs(name=f"{name}-{number}")):
        number += 1
    return f"{name}-{number}"


def _known(arguments: Mapping[str, Any], changes: Mapping[str, Any], spec: Spec) -> dict[str, Any]:
    """Check the arguments of a run's pipeline, which another version may have compiled."""
    declared = spec.pipeline["root"].get("inputDefinitions", {}).get("parameters", {})
    given = _given(arguments)
    if unknown := sorted(set(changes) & set(given) - set(declared)):
        raise InputError(
            f"that run's pipeline has no parameter {', '.join(unknown)}",
            where=", ".join("--" + name.replace("_", "-") for name in unknown),
            expected="one of its parameters; another version of kfp-finetune compiled it",
            remedy="use kfp-finetune submit to run it with this version",
        )
    return {name: value for name, value in given.items() if name in declared}


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if is_given(name, value)}
