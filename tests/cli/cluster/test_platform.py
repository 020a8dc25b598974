"""What the compiled pipeline says of a platform, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from kfp_finetune.cli import catalog
from kfp_finetune.cli.cluster.platform import load
from kfp_finetune.cli.compile import compiled
from kfp_finetune.components.errors import InputError

FINETUNE = catalog.PIPELINES["finetune"]
STEPS = ["load_data", "count_steps", "build_optimizer", "finetune", "evaluate"]
EVERYTHING = """
image: registry.example.com/kfp-finetune:0.1.0
ttl_seconds: 3600
defaults: {cpu_request: 1, memory_request: 2Gi, retries: 1}
steps:
  load_data: {cache: false, retries: 0}
  finetune:
    cpu_limit: 8
    memory_limit: 32Gi
    accelerator: nvidia.com/gpu
    accelerator_count: 2
    node_selector: {pool: gpu}
    tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]
    shm_size: 8Gi
    retries: 3
    timeout_seconds: 86400
env: {AWS_ENDPOINT_URL: "http://minio:9000"}
secrets: [{name: hub, env: {HF_TOKEN: token}}]
hub_cache_pvc: hub
checkpoints_pvc: work
volumes: {/data: data}
image_pull_secrets: [registry]
tensorboard:
  image: tensorboard:1
  env: {S3_ENDPOINT: "http://minio:9000"}
  secrets: [{name: store, env: {AWS_SECRET_ACCESS_KEY: secretkey}}]
"""


def compile_for(tmp_path: Path, text: str, **flags: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    file = tmp_path / "platform.yaml"
    file.write_text(text)
    parts = list(yaml.safe_load_all(compiled(FINETUNE, load(file, STEPS, **flags))))
    return parts[0], parts[1] if len(parts) > 1 else {}


def test_everything_reaches_the_compiled_pipeline(tmp_path: Path) -> None:
    spec, platform = compile_for(tmp_path, EVERYTHING)
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    containers = {n: e["container"] for n, e in spec["deploymentSpec"]["executors"].items()}
    assert {c["image"] for c in containers.values()} == {"registry.example.com/kfp-finetune:0.1.0"}
    resources = containers["exec-finetune"]["resources"]
    assert resources["resourceCpuLimit"] == "8"
    assert resources["resourceMemoryLimit"] == "32Gi"
    assert resources["resourceMemoryRequest"] == "2Gi"
    assert resources["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert resources["accelerator"]["resourceCount"] == "2"
    variables = {e["name"]: e["value"] for e in containers["exec-finetune"]["env"]}
    assert variables["AWS_ENDPOINT_URL"] == "http://minio:9000"
    assert variables["HF_HOME"] == "/mnt/hub-cache"

    tasks = spec["root"]["dag"]["tasks"]
    policy = tasks["finetune"]["retryPolicy"]
    assert (policy["maxRetryCount"], policy["backoffMaxDuration"]) == (3, "604800s")
    assert tasks["evaluate"]["retryPolicy"]["maxRetryCount"] == 1
    assert "retryPolicy" not in tasks["load-data"]
    assert not tasks["load-data"]["cachingOptions"].get("enableCache")
    assert tasks["finetune"]["cachingOptions"]["enableCache"]

    kubernetes = platform["platforms"]["kubernetes"]
    assert kubernetes["pipelineConfig"] == {"resourceTtlOnCompletion": 3600}
    executors = kubernetes["deploymentSpec"]["executors"]
    for executor in executors.values():
        json_format.ParseDict(executor, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
        assert executor["secretAsEnv"][0]["secretName"] == "hub"
        assert executor["imagePullSecret"][0]["secretName"] == "registry"
    own = executors["exec-finetune"]
    assert {m["mountPath"]: m["constant"] for m in own["pvcMount"]} == {
        "/data": "data", "/mnt/hub-cache": "hub", "/mnt/checkpoints": "work",
    }  # fmt: skip
    assert [m["mountPath"] for m in executors["exec-evaluate"]["pvcMount"]] == ["/data"]
    assert own["emptyDirMounts"][0]["medium"] == "Memory"
    assert own["activeDeadlineSeconds"] == "86400"
    assert own["nodeSelector"]["labels"] == {"pool": "gpu"}
    assert own["tolerations"][0]["effect"] == "NoSchedule"


def test_nothing_said_changes_nothing(tmp_path: Path) -> None:
    assert compiled(FINETUNE, load(None, STEPS)) == FINETUNE.definition.read_text()


def test_what_steps_are_told_of_a_platform_is_no_part_of_the_caches_key(tmp_path: Path) -> None:
    """KFP's key: inputs, outputs, image, command and arguments."""
    plain, _ = compile_for(tmp_path, "{}")
    full, _ = compile_for(tmp_path, EVERYTHING.replace("image: registry", "# image: registry"))
    assert full["components"] == plain["components"]
    assert full["root"]["inputDefinitions"] == plain["root"]["inputDefinitions"]
    for name, executor in plain["deploymentSpec"]["executors"].items():
        container = full["deploymentSpec"]["executors"][name]["container"]
        assert {key: container[key] for key in executor["container"]} == executor["container"]
    for name, task in plain["root"]["dag"]["tasks"].items():
        assert full["root"]["dag"]["tasks"][name].get("inputs") == task.get("inputs")


def test_flags_come_first(tmp_path: Path) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text(EVERYTHING)
    platform = load(file, STEPS, image="a:1", cpu="2", memory="4Gi", gpus=1, secrets=["s/k=V"])
    step = platform.of("finetune")
    assert platform.image == "a:1"
    assert (step.cpu_limit, step.cpu_request) == ("2", "2")
    assert (step.memory_limit, step.accelerator_count) == ("4Gi", 1)
    assert (step.shm_size, step.retries) == ("8Gi", 3)
    assert [secret.name for secret in platform.secrets] == ["hub", "s"]


@pytest.mark.parametrize(
    ("text", "found", "where"),
    [
        ("imag: a", "imag: Extra inputs are not permitted", "platform.yaml"),
        ("steps: {finetun: {retries: 1}}", "there is no step finetun", "platform.yaml, steps"),
        (
            "steps: {finetune: {cpu_limit: many}}",
            "steps.finetune.cpu_limit is 'many'",
            "platform.yaml",
        ),
        ("defaults: {retries: -1}", "defaults.retries:", "platform.yaml"),
        ("volumes: {data: claim}", "volumes: data is no absolute path", "platform.yaml, volumes"),
        ("env: {HF_TOKEN: hunter2}", "env sets HF_TOKEN, which looks like", "platform.yaml, env"),
        ("env: {URL: 'http://me:hunter2@host'}", "env sets URL, which looks", "platform.yaml, env"),
        ("image: a b", "'a b' is not an image reference", "platform.yaml"),
        ("- a", "the config file holds a list", "platform.yaml"),
    ],
)
def test_wrong_platforms(tmp_path: Path, text: str, found: str, where: str) -> None:
    with pytest.raises(InputError) as caught:
        compile_for(tmp_path, text)
    assert caught.value.found.startswith(found)
    assert caught.value.where.endswith(where)
    assert "hunter2" not in str(caught.value)


def test_a_secret_given_for_its_name_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(None, STEPS, secrets=["HF_TOKEN=hunter2"])
    assert "hunter2" not in str(caught.value)
