"""Start a pipeline on a cluster, once or on a schedule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_finetune.cli.cluster import sample
from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.cron import Cron
from kfp_finetune.cli.cluster.platform import Platform
from kfp_finetune.cli.cluster.staging import stage
from kfp_finetune.cli.pipeline.compilation import compiled
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data import fingerprints
from kfp_finetune.components.load_data.readers.locations import is_hub_id
from kfp_finetune.components.storage.uris import is_hidden, with_secrets
from kfp_finetune.pipelines import paths
from kfp_finetune.pipelines.catalog import Pipeline
from kfp_finetune.pipelines.checks import check_settings
from kfp_finetune.pipelines.parameters import FINGERPRINTS
from kfp_finetune.runs.folder import dataset_name, default_name

EXPERIMENT = "kfp-finetune"
_ON_HUB = ("dataset", "validation_dataset", "test_dataset", "model")


@dataclass(frozen=True)
class Submission:
    """The settings of a submission.

    Attributes:
        experiment: The experiment of the run; created if it does not exist.
        experiment_id: The id of the experiment, which overrides the name, or None.
        name: The run's name; None for the dataset's name and the time.
        service_account: The service account of the pods; None for the cluster's default.
        pipeline_root: The folder of artifacts; None for the cluster's default.
        stage_uri: The folder to upload local files to; None to refuse them.
        cron: The times of a schedule; None to start a run now.
        upload: Whether to register the pipeline's version first.
        use_cache: Whether steps may come from the cluster's cache.
    """

    experiment: str = EXPERIMENT
    experiment_id: str | None = None
    name: str | None = None
    service_account: str | None = None
    pipeline_root: str | None = None
    stage_uri: str | None = None
    cron: Cron | None = None
    upload: bool = False
    use_cache: bool = True


@dataclass(frozen=True)
class Spec:
    """A compiled pipeline in the form of the API.

    Attributes:
        pipeline: The pipeline spec.
        platform: The platform spec; empty if there is none.
        version: The ids of the registered pipeline and version; None if it is not registered.
    """

    pipeline: dict[str, Any]
    platform: dict[str, Any]
    version: tuple[str, str] | None = None

    @classmethod
    def of_text(cls, text: str) -> Spec:
        """Create it from YAML, and check it against the server's schema."""
        import yaml
        from google.protobuf import json_format
        from kfp.pipeline_spec import pipeline_spec_pb2 as pb

        documents = list(yaml.safe_load_all(text))
        messages = [json_format.ParseDict(documents[0], pb.PipelineSpec())]
        messages += [json_format.ParseDict(part, pb.PlatformSpec()) for part in documents[1:]]
        parts = [json_format.MessageToDict(message) for message in messages]
        return cls(parts[0], parts[1] if len(parts) > 1 else {})

    @classmethod
    def of_run(cls, run: Any) -> Spec:
        """Create it from a run in the API."""
        spec = run.pipeline_spec or {}
        return cls(spec.get("pipeline_spec", spec), spec.get("platform_spec", {}))

    @property
    def tasks(self) -> dict[str, Any]:
        """The tasks by their names."""
        tasks: dict[str, Any] = self.pipeline.get("root", {}).get("dag", {}).get("tasks", {})
        return tasks

    def for_api(self) -> dict[str, Any]:
        """The spec in the form of V2beta1Run."""
        if not self.platform:
            return self.pipeline
        return {"pipeline_spec": self.pipeline, "platform_spec": self.platform}

    def without_cache(self) -> Spec:
        """The same pipeline without caching of any step, including those of loops."""
        pipeline = copy.deepcopy(self.pipeline)
        for graph in (pipeline["root"], *pipeline.get("components", {}).values()):
            for task in graph.get("dag", {}).get("tasks", {}).values():
                task["cachingOptions"] = {}
        return Spec(pipeline, self.platform)


def check(pipeline: Pipeline, parameters: Mapping[str, Any], submission: Submission) -> None:
    """Check the parameters, without files or the cluster.

    Raises:
        InputError: If something is wrong.
    """
    check_settings(pipeline.name, parameters)
    if submission.cron is not None:
        _check_recurring(parameters)


def prepare(
    parameters: Mapping[str, Any],
    platform: Platform,
    submission: Submission,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Upload local data, and complete the parameters.

    Args:
        parameters: A value for every parameter except the fingerprints, as `check` accepts them;
            None if it is unset.
        platform: Resources of the steps.
        submission: The settings of the submission.
        say: Called with a line for each action.

    Returns:
        The arguments: all parameters that have a value, including the fingerprints.

    Raises:
        InputError: If something is wrong.
    """
    readable = [*platform.mounts("finetune"), sample.folder()]
    staged = stage(sample.on_this_disk(parameters), submission.stage_uri, readable, say)
    if from_hub := [f"{name} {staged[name]}" for name in _ON_HUB if _is_hub_id(staged.get(name))]:
        say("from the Hugging Face Hub: " + ", ".join(from_hub))
    found = {}
    if submission.cron is None:  # otherwise the data may differ at each start
        staged |= fingerprints.pinned_revisions(staged)
        found = {
            "dataset_fingerprint": fingerprints.of_dataset(staged, say),
            "model_fingerprint": fingerprints.of_model(staged),
        }
    known = {name: value for name, value in found.items() if value}
    sent = sample.in_image(staged | known)
    if hidden := [name for name, value in sent.items() if is_hidden(value)]:
        say(
            f"warning: the cluster stores the full URI of {', '.join(hidden)}; everyone with"
            " access to the run can see it"
        )
        sent |= {name: with_secrets(sent[name]) for name in hidden}
    return {name: value for name, value in sent.items() if value is not None}


def _is_hub_id(value: Any) -> bool:
    name = str(value or "")
    return is_hub_id(name) and not paths.exists(Path(name))


def submit(
    cluster: Cluster,
    arguments: Mapping[str, Any],
    spec: Spec,
    submission: Submission,
    say: Callable[[str], None],
) -> tuple[str, str]:
    """Start a run or create a schedule.

    Args:
        cluster: The cluster.
        arguments: The arguments from `prepare`.
        spec: The compiled pipeline.
        submission: The settings of the submission.
        say: Called with a line for each action.

    Returns:
        The name, and the id of the run or the schedule.

    Raises:
        InputError: If the cluster refuses it.
        ClusterError: If the cluster fails.
    """
    import kfp_server_api as api

    # The names of a schedule's runs contain their own time.
    named = default_name if submission.cron is None else dataset_name
    name = submission.name or named(str(arguments.get("dataset") or "run"))
    if submission.use_cache and not all(arguments.get(f) for f in FINGERPRINTS):
        why = (
            "the data may have changed"
            if submission.cron
            else "changes of the data or the model cannot be detected"
        )
        say(f"not cached: {why}")
        spec = spec.without_cache()
    elif not submission.use_cache:
        spec = spec.without_cache()
    fields: dict[str, Any] = {
        "display_name": name,
        "experiment_id": submission.experiment_id
        or cluster.registry.experiment(submission.experiment),
        "runtime_config": api.V2beta1RuntimeConfig(
            parameters=dict(arguments), pipeline_root=submission.pipeline_root
        ),
        "service_account": submission.service_account,
    }
    version = spec.version
    if submission.upload and version is None:
        version = cluster.registry.upload(spec.pipeline, spec.platform)
    if version is not None:
        fields["pipeline_version_reference"] = api.V2beta1PipelineVersionReference(
            pipeline_id=version[0], pipeline_version_id=version[1]
        )
    else:
        fields["pipeline_spec"] = spec.for_api()
    if submission.cron is not None:
        return name, cluster.schedules.create(submission.cron, **fields)
    return name, cluster.create_run(**fields)


def compiled_spec(pipeline: Pipeline, platform: Platform) -> Spec:
    """Compile a pipeline for a platform."""
    return Spec.of_text(compiled(pipeline, platform))


def _check_recurring(parameters: Mapping[str, Any]) -> None:
    if parameters.get("checkpoint_dir"):
        raise InputError(
            "checkpoint_dir is given with --cron: several runs cannot share it",
            where="--checkpoint-dir",
            expected="recurring runs without one",
            remedy="omit --checkpoint-dir",
        )
