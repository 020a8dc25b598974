"""The compiled pipeline of a platform, and refused settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from kfp_finetune.cli.cluster.platform import load
from kfp_finetune.cli.pipeline.compilation import compiled
from kfp_finetune.components.errors import InputError
from kfp_finetune.pipelines import catalog
from kfp_finetune.pipelines.parameters import steps

FINETUNE = catalog.PIPELINES["finetune"]
STEPS = steps(FINETUNE.definition)
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
    # It counts from the first start, and ends what a retry has started: a year is long enough.
    assert (policy["maxRetryCount"], policy["backoffMaxDuration"]) == (3, "31536000s")
    assert policy["backoffDuration"] == "60s"
    assert tasks["evaluate"]["retryPolicy"]["maxRetryCount"] == 1
    assert "retryPolicy" not in tasks["load-data"]
    assert not tasks["load-data"]["cachingOptions"].get("enableCache")
    assert tasks["finetune"]["cachingOptions"]["enableCache"]

    kubernetes = platform["platforms"]["kubernetes"]
    # KFP's own configuration sets all three, and the two win over the one.
    assert kubernetes["pipelineConfig"] == dict.fromkeys(
        ("resourceTtlOnCompletion", "resourceTtlOnSuccess", "resourceTtlOnFailure"), 3600
    )
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


def test_an_empty_platform_changes_nothing(tmp_path: Path) -> None:
    assert compiled(FINETUNE, load(None, STEPS)) == FINETUNE.definition.read_text()


def cache_keys(spec: dict[str, Any], platform: dict[str, Any]) -> dict[str, Any]:
    """The content of each step's key in KFP 2.17 (driver/cache.go), except for the run's arguments.

    Values of parameters, names of input artifacts, the declared outputs, image, command, arguments
    and the names of the volumes; looked up under the pipeline's name.
    """
    of_cluster = platform.get("platforms", {}).get("kubernetes", {})
    mounted = of_cluster.get("deploymentSpec", {}).get("executors", {})
    keys = {}
    for name, component in spec["components"].items():
        executor = component["executorLabel"]
        container = spec["deploymentSpec"]["executors"][executor]["container"]
        volumes = {m["constant"] for m in mounted.get(executor, {}).get("pvcMount", [])}
        task = spec["root"]["dag"]["tasks"][name.removeprefix("comp-")]
        keys[name.removeprefix("comp-").replace("-", "_")] = (
            spec["pipelineInfo"]["name"],
            json.dumps(task.get("inputs", {}), sort_keys=True),
            json.dumps(component.get("outputDefinitions", {}), sort_keys=True),
            container["image"],
            json.dumps([container["command"], container["args"]]),
            sorted(volumes),
        )
    return keys


@pytest.mark.parametrize(
    ("text", "missed"),
    [
        ("env: {A: b}", []),
        ("secrets: [{name: hub, env: {HF_TOKEN: token}}]", []),
        ("defaults: {cpu_limit: 4, memory_limit: 8Gi, retries: 3, timeout_seconds: 60}", []),
        ("steps: {finetune: {accelerator: nvidia.com/gpu, shm_size: 8Gi}}", []),
        ("steps: {finetune: {node_selector: {a: b}, tolerations: [{key: a}]}}", []),
        ("{ttl_seconds: 60, image_pull_secrets: [a]}", []),
        ("tensorboard: {image: tensorboard:1}", []),
        ("checkpoints_pvc: work", ["finetune"]),
        ("hub_cache_pvc: hub", ["finetune", "load_data"]),
        ("volumes: {/data: data}", sorted(STEPS)),
        ("image: other:1", sorted(STEPS)),
    ],
)
def test_what_is_part_of_the_caches_key(tmp_path: Path, text: str, missed: list[str]) -> None:
    plain = cache_keys(*compile_for(tmp_path, "{}"))
    assert sorted(plain) == sorted(STEPS)
    other = cache_keys(*compile_for(tmp_path, text))
    assert sorted(step for step in STEPS if other[step] != plain[step]) == missed


def test_pipelines_of_different_names_share_no_cache() -> None:
    names = {p.load().pipeline_spec.pipeline_info.name for p in catalog.PIPELINES.values()}
    assert len(names) == len(catalog.PIPELINES)


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


SECRETS = {
    "GITHUB_PAT": "x", "DB_PASS": "x", "DB_PW": "x", "MYSQL_PWD": "x", "GPG_PASSPHRASE": "x",
    "HF_TOKEN": "x", "HUGGINGFACETOKEN": "x", "AWS_ACCESS_KEY_ID": "x", "APIKEY": "x", "DSN": "x",
    "AZURE_STORAGE_CONNECTION_STRING": "x", "SESSION_COOKIE": "x", "BASIC_AUTH": "x",
    "HEADERS": "Authorization: Bearer abcdefgh-12345", "PROXY": "Basic dXNlcjpwYXNz",
    "STORE": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hunter2==;",
    "DATABASE": "host=db user=me password=hunter2", "SQL": "Server=db;Uid=me;Pwd=hunter2;",
    "URL": "postgres://me:hunter2@db/x", "SIGNED": "https://a/b?sig=hunter2",
    "PEM": "-----BEGIN RSA PRIVATE KEY-----\nhunter2", "ACCOUNT": '{"private_key": "hunter2"}',
    "A": "ghp_0123456789abcdefghij", "B": "hf_abcdefghijklmnopqrs1", "C": "AKIA0123456789ABCDEF",
    "D": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln",
}  # fmt: skip
PLAIN = {
    "TOKENIZERS_PARALLELISM": "false", "AWS_ENDPOINT_URL": "http://seaweedfs.kubeflow:9000",
    "AWS_DEFAULT_REGION": "us-east-1", "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin", "NO_PROXY": "*",
    "GOOGLE_APPLICATION_CREDENTIALS_FILE": "/var/run/key.json", "KEYBOARD": "de",
    "HF_TOKEN_PATH": "/mnt/token", "AUTHOR": "me", "COMPASS": "north", "PATTERN": "a",
    "KERAS_BACKEND": "tensorflow", "TOKEN_URL": "https://sso/token", "TITLE": "basic experiments",
    "RUN_NAME": "sk-learn-beside-keras", "SECRET_NAME": "hub", "TF_CPP_MIN_LOG_LEVEL": "3",
    "BYPASS": "1",
}  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_what_looks_like_a_secret_is_in_no_compiled_pipeline(tmp_path: Path, name: str) -> None:
    text = yaml.safe_dump({"env": PLAIN | {name: SECRETS[name]}})
    with pytest.raises(InputError) as caught:
        compile_for(tmp_path, text)
    assert caught.value.found.startswith(f"env sets {name}, which looks like a secret")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InputError, match=f"env sets {name}, "):
        compile_for(tmp_path, yaml.safe_dump({"tensorboard": {"env": {name: SECRETS[name]}}}))


def test_what_is_no_secret_is_in_the_compiled_pipeline(tmp_path: Path) -> None:
    spec, _ = compile_for(tmp_path, yaml.safe_dump({"env": PLAIN}))
    container = spec["deploymentSpec"]["executors"]["exec-finetune"]["container"]
    assert PLAIN.items() <= {e["name"]: e["value"] for e in container["env"]}.items()


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
        (
            "volumes: {data: claim}",
            "volumes: data is not an absolute path",
            "platform.yaml, volumes",
        ),
        ("env: {A: '{{workflow.name}}'}", "A contains {{", "platform.yaml, env"),
        ("image: a b", "'a b' is not an image reference", "platform.yaml"),
        ("- a", "the file contains a list", "platform.yaml"),
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
