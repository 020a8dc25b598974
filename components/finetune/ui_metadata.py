"""The display in Kubeflow's UI of a training: the model's metadata, and an entry for TensorBoard.

The v2 UI reads an output called mlpipeline_ui_metadata. Multi-user installs of Kubeflow include a
viewer: the UI starts TensorBoard in a separate pod, which reads the logs from the object store with
credentials named in a pod template. Without the viewer such an entry is a red error, so the output
shows the command that opens TensorBoard instead. The platform's `tensorboard` setting states that
the viewer is installed.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.finetune.live_logs import run_name
from kfp_finetune.components.storage.files import write_text
from kfp_finetune.components.storage.uris import without_secrets

# JSON {"image": ..., "env": [...]}, set at compile time if the viewer is installed.
POD_VARIABLE = "KFP_FINETUNE_TENSORBOARD_POD"
_ENDPOINT = "http://seaweedfs.kubeflow.svc.cluster.local:9000"
_SECRET = "mlpipeline-minio-artifact"  # noqa: S105 - its name, in every namespace of Kubeflow
_KEYS = {"AWS_ACCESS_KEY_ID": "accesskey", "AWS_SECRET_ACCESS_KEY": "secretkey"}


def write(path: str, logs_uri: str, owner: str) -> None:
    """Write the entry for a run's TensorBoard.

    Args:
        path: The file to write.
        logs_uri: KFP's URI of the event files; minio:// is Kubeflow's own store.
        owner: The run, as `runtime.run_of` names it.
    """
    view = os.environ.get(POD_VARIABLE)
    output = _command(run_name(owner)) if view is None else _view(json.loads(view), logs_uri)
    write_text(Path(path), json.dumps({"outputs": [output]}, indent=1))


def of_model(model: ModelManifest, path: str) -> dict[str, Any]:
    """The metadata that Kubeflow's UI shows beside a model.

    Args:
        model: The manifest of the model.
        path: The folder of the model.
    """
    measured = [name for name in model.validation_metrics if name != "loss"]
    headline = {f"validation_{name}": model.validation_metrics[name] for name in measured[:1]}
    size = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
    return {
        "base_model": model.base_model,
        "dataset": without_secrets(model.dataset),
        **headline,
        "size_mb": round(size / 1e6, 1),
        "num_train_steps": model.num_train_steps,
        "training_seconds": model.training_seconds,
    }


def _command(run: str) -> dict[str, Any]:
    # On two lines, because a longer line does not fit into the UI's panel.
    command = f"kfp-finetune tensorboard {shlex.quote(run)} \\\n        --host URL"
    text = f"TensorBoard for this run (URL: the address of this Kubeflow):\n\n    {command}\n"
    return {"type": "markdown", "storage": "inline", "source": text}


def _view(view: dict[str, Any], logs_uri: str) -> dict[str, Any]:
    variables = view.get("env")
    if not variables and logs_uri.startswith("minio://"):
        variables = _own_store()
    # TensorBoard does not know minio://, which is S3.
    source = (
        logs_uri.replace("minio://", "s3://", 1) if logs_uri.startswith("minio://") else logs_uri
    )
    output: dict[str, Any] = {"type": "tensorboard", "source": source}
    if view.get("image"):
        output["image"] = view["image"]
    if variables:
        container = {"name": "tensorboard", "env": variables}
        output["pod_template_spec"] = {"spec": {"containers": [container]}}
    return output


def _own_store() -> list[dict[str, Any]]:
    """Environment variables for reading Kubeflow's own store; its keys come from a secret."""
    plain = {
        "S3_ENDPOINT": _ENDPOINT,  # TensorFlow's and TensorBoard's own clients
        "AWS_ENDPOINT_URL": _ENDPOINT,  # boto3 and s3fs
        "AWS_REGION": "us-east-1",
        "S3_USE_HTTPS": "0",
        "S3_VERIFY_SSL": "0",
    }
    references = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": _SECRET, "key": key}}}
        for name, key in _KEYS.items()
    ]
    return [{"name": name, "value": value} for name, value in plain.items()] + references
