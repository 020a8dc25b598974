"""docs/cluster.md, literally: its names, ports, secrets, keys and commands are KFP 2.17's.

`recordings/services.json` is what `kubectl get` answered in the standalone install.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from typer.main import get_command

from kfp_finetune.cli import main
from kfp_finetune.cli.cluster.platform import load
from kfp_finetune.components.finetune import ui_metadata
from tests.cli.cluster.test_platform import EVERYTHING, STEPS, compile_for

ROOT = Path(__file__).parents[3]
SAID = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (
        *(ROOT / "docs").glob("*.md"),
        ROOT / "README.md",
        *(ROOT / "pipelines").glob("*/README.md"),
        ROOT / "components" / "finetune" / "ui_metadata.py",
    )
}
GUIDE = SAID["docs/cluster.md"]
KUBEFLOW = json.loads((Path(__file__).parent / "recordings" / "services.json").read_text())
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def ports(service: str) -> set[int]:
    return {port["port"] for port in KUBEFLOW["services"].get(service, [])}


def platforms() -> Iterator[dict[str, Any]]:
    """The platform files that the guide writes."""
    for kind, text in BLOCKS:
        if kind == "yaml" and "apiVersion" not in text:
            yield yaml.safe_load(text)
        for written in re.findall(r"<<END\n(.*?)^END", text, re.MULTILINE | re.DOTALL):
            yield yaml.safe_load(written)


def test_services_and_ports() -> None:
    forwarded = re.findall(r"svc/([\w-]+) (\d+):(\d+)", "".join(SAID.values()))
    addressed = re.findall(r"//([\w-]+)\.kubeflow(?:\.svc[\w.]*)?:(\d+)", "".join(SAID.values()))
    assert {service for service, _, _ in forwarded} == {"ml-pipeline-ui", "seaweedfs"}
    assert len(addressed) >= 3
    for service, port in [*((s, p) for s, _, p in forwarded), *addressed]:
        assert int(port) in ports(service), (service, port)
    for name, text in SAID.items():
        assert "minio-service" not in text, name  # of KFP before 2.15


def test_secrets_and_keys() -> None:
    named = set(re.findall(r"get secret ([\w-]+)", GUIDE))
    keys = set(re.findall(r"\$\(key (\w+)\)", GUIDE))
    assert named == {"mlpipeline-minio-artifact"}
    assert keys == set(KUBEFLOW["secrets"]["mlpipeline-minio-artifact"])
    of_kubeflow = [
        secret
        for platform in platforms()
        for secret in platform.get("secrets", [])
        if secret["name"] in KUBEFLOW["secrets"]
    ]
    assert of_kubeflow
    for secret in of_kubeflow:
        assert set(secret["env"].values()) <= set(KUBEFLOW["secrets"][secret["name"]])


def test_what_the_uis_tensorboard_reads_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ui_metadata.POD_VARIABLE, "{}")
    ui_metadata.write(str(tmp_path / "ui.json"), "minio://mlpipeline/v2/artifacts/a", "a")
    text = (tmp_path / "ui.json").read_text()
    for service, port in re.findall(r"//([\w-]+)\.kubeflow[\w.]*:(\d+)", text):
        assert int(port) in ports(service)
    variables = json.loads(text)["outputs"][0]["pod_template_spec"]["spec"]["containers"][0]["env"]
    references = [v["valueFrom"]["secretKeyRef"] for v in variables if "valueFrom" in v]
    assert references
    for reference in references:
        assert reference["key"] in KUBEFLOW["secrets"][reference["name"]]


def test_the_bucket() -> None:
    bucket = KUBEFLOW["configmaps"]["pipeline-install-config"]["bucketName"]
    places = re.findall(r"(?:s3|minio)://([\w-]+)", GUIDE)
    assert set(places) - {"bucket", "BUCKET"} == {bucket}


def test_config_maps() -> None:
    named = set(re.findall(r"ConfigMap\s+`([\w-]+)`", GUIDE))
    assert named == {"workflow-controller-configmap", "kfp-launcher"}
    entries = {entry for name in named for entry in KUBEFLOW["configmaps"][name]}
    assert {"workflowDefaults", "defaultPipelineRoot"} <= entries


def test_what_an_administrator_changes_makes_argo_retry_killed_steps() -> None:
    """The guide's sed, over what the ConfigMap holds."""
    (command,) = re.findall(r'sed "([^"]*)"', GUIDE)
    before = KUBEFLOW["configmaps"]["workflow-controller-configmap"]["workflowDefaults"]
    done = subprocess.run(
        ["/usr/bin/env", "sed", command], input=before, capture_output=True, text=True, check=True
    )
    strategy = yaml.safe_load(before)["spec"]["templateDefaults"]["retryStrategy"]
    assert strategy == {"limit": "2", "retryPolicy": "OnError"}
    strategy = yaml.safe_load(done.stdout)["spec"]["templateDefaults"]["retryStrategy"]
    assert strategy == {"limit": "0", "retryPolicy": "Always"}
    assert "`workflowDefaults`" in GUIDE
    assert "templateDefaults.retryStrategy" in GUIDE


def test_platform_files_are_taken(tmp_path: Path) -> None:
    found = list(platforms())
    assert len(found) >= 3
    for number, platform in enumerate(found):
        file = tmp_path / f"{number}.yaml"
        file.write_text(yaml.safe_dump(platform))
        load(file, STEPS)


def test_the_steps_pass_the_pod_security_that_is_enforced(tmp_path: Path) -> None:
    """`baseline` forbids host paths, host networks, privileges and capabilities."""
    assert KUBEFLOW["namespace_labels"]["pod-security.kubernetes.io/enforce"] == "baseline"
    _, platform = compile_for(tmp_path, EVERYTHING)
    for executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        assert executor.keys() <= {
            "secretAsEnv", "pvcMount", "emptyDirMounts", "nodeSelector", "tolerations",
            "imagePullSecret", "activeDeadlineSeconds",
        }  # fmt: skip
        json_format.ParseDict(executor, kubernetes_executor_config_pb2.KubernetesExecutorConfig())


def test_the_network_policy_admits_the_namespaces_own_pods_only() -> None:
    (policy,) = [yaml.safe_load(text) for kind, text in BLOCKS if "kind: NetworkPolicy" in text]
    spec = policy["spec"]
    assert policy["metadata"]["namespace"] == "kubeflow"
    assert spec["policyTypes"] == ["Ingress"]
    assert spec["ingress"] == [{"from": [{"podSelector": {}}]}]  # of the policy's own namespace
    (excepted,) = spec["podSelector"]["matchExpressions"]
    assert excepted["operator"] == "NotIn"
    assert set(excepted["values"]) <= KUBEFLOW["services"].keys()


def _commands() -> Iterator[list[str]]:
    for kind, text in BLOCKS:
        if not kind:
            for line in re.sub(r"\\\n\s*", " ", text).splitlines():
                if line.startswith("kfp-finetune "):
                    yield shlex.split(line, comments=True)


@pytest.mark.parametrize("words", _commands(), ids=lambda words: " ".join(words[:2]))
def test_commands_and_options_are_there(words: list[str]) -> None:
    app = get_command(main.app)
    command = app.commands[words[1]]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
