"""Starts a pipeline on a cluster: once, or again and again."""

from __future__ import annotations

import copy
import hashlib
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_finetune.cli.catalog import Pipeline
from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.platform import Platform
from kfp_finetune.cli.cluster.staging import stage
from kfp_finetune.cli.compile import compiled
from kfp_finetune.cli.parameters import FINGERPRINTS
from kfp_finetune.cli.preflight import check_settings
from kfp_finetune.cli.run_folder import default_name
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data import fingerprints

EXPERIMENT = "kfp-finetune"
_CRON_FIELD = re.compile(r"[\d*,/?A-Za-z-]+")


@dataclass(frozen=True)
class Submission:
    """How a pipeline is started.

    Attributes:
        experiment: The experiment it is shown under; made if it is not there.
        name: The run's name; None: the dataset's and the time.
        service_account: Whose rights the pods have; None: the cluster's default.
        pipeline_root: Where artifacts go; None: the cluster's default.
        stage_uri: Where local files are uploaded to; None: they are refused.
        cron: Start it at these times; None: now.
        upload: Register the pipeline's version first.
        use_cache: Whether steps may come from the cluster's cache.
    """

    experiment: str = EXPERIMENT
    name: str | None = None
    service_account: str | None = None
    pipeline_root: str | None = None
    stage_uri: str | None = None
    cron: str | None = None
    upload: bool = False
    use_cache: bool = True


@dataclass(frozen=True)
class Spec:
    """A compiled pipeline as the API takes it.

    Attributes:
        pipeline: The pipeline's part.
        platform: The cluster's part; empty if there is none.
    """

    pipeline: dict[str, Any]
    platform: dict[str, Any]

    @classmethod
    def of_text(cls, text: str) -> Spec:
        """From YAML, held against the schema that the server has."""
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
        """From a run as the API gives it."""
        spec = run.pipeline_spec or {}
        return cls(spec.get("pipeline_spec", spec), spec.get("platform_spec", {}))

    @property
    def tasks(self) -> dict[str, Any]:
        """The tasks by their names."""
        tasks: dict[str, Any] = self.pipeline.get("root", {}).get("dag", {}).get("tasks", {})
        return tasks

    def for_api(self) -> dict[str, Any]:
        """As V2beta1Run has it."""
        if not self.platform:
            return self.pipeline
        return {"pipeline_spec": self.pipeline, "platform_spec": self.platform}

    def without_cache(self) -> Spec:
        """The same with every step running, those of loops too."""
        pipeline = copy.deepcopy(self.pipeline)
        for graph in (pipeline["root"], *pipeline.get("components", {}).values()):
            for task in graph.get("dag", {}).get("tasks", {}).values():
                task["cachingOptions"] = {}
        return Spec(pipeline, self.platform)


def prepare(
    pipeline: Pipeline,
    parameters: Mapping[str, Any],
    platform: Platform,
    submission: Submission,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """What can be known here to be wrong is refused, and what is local is uploaded.

    Args:
        pipeline: Which.
        parameters: A value for every parameter but the fingerprints; None for what is unset.
        platform: What the cluster gives the steps.
        submission: How it is started.
        say: Is told what is done.

    Returns:
        The arguments: every parameter that has a value, fingerprints included.

    Raises:
        InputError: If something is wrong.
    """
    check_settings(pipeline.name, parameters)
    if submission.cron is not None:
        cron_of_kfp(submission.cron)
        _check_recurring(parameters)
    staged = stage(parameters, submission.stage_uri, platform.mounts("finetune"), say)
    found = {}
    if submission.cron is None:  # else the data may be other data at each time
        staged |= fingerprints.pinned_revisions(staged)
        found = {
            "dataset_fingerprint": fingerprints.of_dataset(staged, say),
            "model_fingerprint": fingerprints.of_model(staged),
        }
    known = {name: value for name, value in found.items() if value}
    return {name: value for name, value in (staged | known).items() if value is not None}


def submit(
    cluster: Cluster,
    arguments: Mapping[str, Any],
    spec: Spec,
    submission: Submission,
    say: Callable[[str], None],
) -> tuple[str, str]:
    """Start a run, or have it started at times.

    Args:
        cluster: Where.
        arguments: As `prepare` returns them.
        spec: The compiled pipeline.
        submission: How.
        say: Is told what is done.

    Returns:
        The name, and the id of the run or of its schedule.

    Raises:
        InputError: If the cluster refuses it.
        ClusterError: If the cluster fails.
    """
    import kfp_server_api as api

    name = submission.name or default_name(str(arguments.get("dataset") or "run"))
    if submission.use_cache and not all(arguments.get(f) for f in FINGERPRINTS):
        why = (
            "the data may have changed"
            if submission.cron
            else ("it cannot be told whether the data or the model has changed")
        )
        say(f"not cached: {why}")
        spec = spec.without_cache()
    elif not submission.use_cache:
        spec = spec.without_cache()
    fields: dict[str, Any] = {
        "display_name": name,
        "experiment_id": cluster.experiment(submission.experiment),
        "runtime_config": api.V2beta1RuntimeConfig(
            parameters=dict(arguments), pipeline_root=submission.pipeline_root
        ),
        "service_account": submission.service_account,
    }
    if submission.upload:
        pipeline_id, version_id = _uploaded(cluster, spec)
        fields["pipeline_version_reference"] = api.V2beta1PipelineVersionReference(
            pipeline_id=pipeline_id, pipeline_version_id=version_id
        )
    else:
        fields["pipeline_spec"] = spec.for_api()
    if submission.cron is not None:
        return name, cluster.create_recurring_run(cron_of_kfp(submission.cron), **fields)
    return name, cluster.create_run(**fields)


def compiled_spec(pipeline: Pipeline, platform: Platform) -> Spec:
    """A pipeline compiled for a platform."""
    return Spec.of_text(compiled(pipeline, platform))


def cron_of_kfp(cron: str) -> str:
    """A cron expression with the seconds that KFP wants in front.

    Raises:
        InputError: If it is none.
    """
    fields = cron.split()
    if len(fields) not in (5, 6) or not all(_CRON_FIELD.fullmatch(field) for field in fields):
        raise InputError(
            f"'{cron}' is no cron expression",
            where="--cron",
            expected="minute, hour, day, month and weekday; with seconds in front if you like",
            remedy='for example --cron "0 6 * * 1": Mondays at six',
        )
    return " ".join(fields if len(fields) == 6 else ["0", *fields])


def _check_recurring(parameters: Mapping[str, Any]) -> None:
    if parameters.get("checkpoint_dir"):
        raise InputError(
            "checkpoint_dir is one run's, and there would be many",
            where="--checkpoint-dir",
            expected="recurring runs without one",
            remedy="leave --checkpoint-dir out",
        )


def _uploaded(cluster: Cluster, spec: Spec) -> tuple[str, str]:
    """Register the pipeline; the same content is the same version."""
    import yaml

    documents = [part for part in (spec.pipeline, spec.platform) if part]
    text = yaml.safe_dump_all(documents, sort_keys=True)
    version = hashlib.sha256(text.encode()).hexdigest()[:12]
    with tempfile.TemporaryDirectory(prefix="kfp-finetune-") as folder:
        file = Path(folder, "pipeline.yaml")
        file.write_text(text, encoding="utf-8")
        return cluster.upload(file, str(spec.pipeline["pipelineInfo"]["name"]), version)
