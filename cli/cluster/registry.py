"""Find or create experiments, pipelines and their versions on a cluster."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kfp_finetune.cli.cluster.calls import TIMEOUT, Calls
from kfp_finetune.components.temporary import temporary_folder

_HASH_DIGITS = 7


class Registry:
    """The registered objects of one Kubeflow.

    Args:
        calls: The calls to its API.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def experiment(self, name: str) -> str:
        """The id of an experiment, which is created if it does not exist."""
        import kfp_server_api as api

        service = self._calls.client.experiments
        found = self._calls.ask(
            lambda: service.experiment_service_list_experiments(
                namespace=self._calls.namespace or "",
                filter=equals("display_name", name),
                _request_timeout=TIMEOUT,
            ),
            f"experiment {name}",
        )
        for experiment in found.experiments or []:
            return str(experiment.experiment_id)
        experiment = api.V2beta1Experiment(
            display_name=name,
            description="Runs of kfp-finetune",
            namespace=self._calls.namespace,
        )
        made = self._calls.send(
            lambda: service.experiment_service_create_experiment(
                experiment, _request_timeout=TIMEOUT
            ),
            f"experiment {name}",
        )
        return str(made.experiment_id)

    def upload(self, spec: dict[str, Any], platform: dict[str, Any]) -> tuple[str, str]:
        """Register a compiled pipeline as a version; equal content gives the same version.

        Args:
            spec: The pipeline spec. The name of the version consists of this package's version and
                the content's hash: "0.1.0-a2756d5".
            platform: The platform spec; empty if there is none.

        Returns:
            The ids of the pipeline and of the version.
        """
        import yaml

        info = spec["pipelineInfo"]
        text = yaml.safe_dump_all([part for part in (spec, platform) if part], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        version = f"{version_of('kfp-finetune')}-{digest[:_HASH_DIGITS]}"
        pipeline_id = self._pipeline(info)
        service = self._calls.client.pipelines
        known = self._calls.ask(
            lambda: service.pipeline_service_list_pipeline_versions(
                pipeline_id, filter=equals("name", version), _request_timeout=TIMEOUT
            ),
            f"version {version}",
        )
        for found in known.pipeline_versions or []:
            return pipeline_id, str(found.pipeline_version_id)
        with temporary_folder() as folder:
            file = Path(folder, "pipeline.yaml")
            file.write_text(text, encoding="utf-8")
            uploaded = self._calls.send(
                lambda: self._calls.client.pipeline_uploads.upload_pipeline_version(
                    str(file),
                    name=version,
                    display_name=version,
                    description=info.get("description", ""),
                    pipelineid=pipeline_id,
                    _request_timeout=TIMEOUT,
                ),
                f"version {version}",
            )
        return pipeline_id, str(uploaded.pipeline_version_id)

    def _pipeline(self, info: dict[str, Any]) -> str:
        """The id of the pipeline that a spec's pipelineInfo names."""
        import kfp_server_api as api

        name = str(info["name"])
        service = self._calls.client.pipelines
        listed = self._calls.ask(
            lambda: service.pipeline_service_list_pipelines(
                namespace=self._calls.namespace or "",
                filter=equals("name", name),
                _request_timeout=TIMEOUT,
            ),
            f"pipeline {name}",
        )
        for found in listed.pipelines or []:
            return str(found.pipeline_id)
        pipeline = api.V2beta1Pipeline(
            name=name,
            display_name=info.get("displayName") or name,
            description=info.get("description"),
            namespace=self._calls.namespace,
        )
        made = self._calls.send(
            lambda: service.pipeline_service_create_pipeline(pipeline, _request_timeout=TIMEOUT),
            f"pipeline {name}",
        )
        return str(made.pipeline_id)


def equals(key: str, value: str) -> str:
    """The API's filter for objects with this value.

    Quoted in addition to the client's quoting: the server unquotes once more, so that a + in a name
    would become a space, and a % would start an escape sequence.
    """
    wanted = {"operation": "EQUALS", "key": key, "stringValue": value}
    return quote(json.dumps({"predicates": [wanted]}))
