"""What makes Kubeflow's UI offer TensorBoard on a run's logs.

The v2 UI looks for an output called mlpipeline_ui_metadata. The TensorBoard it starts is a pod of
its own, which reads the logs from the object store with credentials named in a pod template.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts.files import write_text

# JSON {"image": ..., "env": [...]}, where a cluster differs from the usual; set at compile time.
POD_VARIABLE = "KFP_FINETUNE_TENSORBOARD_POD"
_ENDPOINT = "http://seaweedfs.kubeflow.svc.cluster.local:9000"
_SECRET = "mlpipeline-minio-artifact"  # noqa: S105 - its name, in every namespace of Kubeflow
_KEYS = {"AWS_ACCESS_KEY_ID": "accesskey", "AWS_SECRET_ACCESS_KEY": "secretkey"}


def write(path: str, logs_uri: str) -> None:
    """Write the metadata.

    Args:
        path: The file to write.
        logs_uri: Where the event files will be, as KFP names it; minio:// is Kubeflow's own store.
    """
    view = json.loads(os.environ.get(POD_VARIABLE) or "{}")
    variables = view.get("env")
    if variables is None and logs_uri.startswith("minio://"):
        variables = _own_store()
    output: dict[str, Any] = {
        "type": "tensorboard",
        # TensorBoard knows no minio://, which speaks S3.
        "source": "s3://" + logs_uri.removeprefix("minio://")
        if logs_uri.startswith("minio://")
        else logs_uri,
    }
    if view.get("image"):
        output["image"] = view["image"]
    if variables:
        container = {"name": "tensorboard", "env": variables}
        output["pod_template_spec"] = {"spec": {"containers": [container]}}
    write_text(Path(path), json.dumps({"outputs": [output]}, indent=1))


def _own_store() -> list[dict[str, Any]]:
    """The environment that reads Kubeflow's own store: where it is, keys by reference."""
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
