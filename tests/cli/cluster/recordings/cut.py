"""Cut what a real Kubeflow Pipelines 2.17 answered down to what the tests need.

    python tests/cli/cluster/recordings/cut.py FOLDER

FOLDER holds NAME.v2beta1.json.gz, NAME.v1beta1.json.gz, NAME.logs.json.gz and NAME.store.json.gz
for each run, and one file for each other endpoint. What is left goes beside this file:
NAME.json.gz for each run, and endpoints.json.gz.

Only what nobody reads is dropped, nothing is changed: descriptions, the text of the components'
programs (their hash stands in its place), Argo's templates and arguments, the metadata of a step's
input artifacts, and the logs of drivers that succeeded but for their last lines.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ENDPOINTS = ("healthz", "runs_page", "recurring", "experiments", "pipelines", "run_not_found")
_ITERATION = ("parent-dag-id", "iteration-index")
_END_OF_A_LOG = 300


def cut_run(read: Any, name: str) -> dict[str, Any]:
    """A run's four recordings as one."""
    v1 = read(f"{name}.v1beta1")
    failed = _cut_v1(v1, keep_spec=name == "uploaded")
    v2 = read(f"{name}.v2beta1")
    return {
        "v2beta1": _cut_v2(v2),
        "v1beta1": v1,
        "logs": _cut_logs(read(f"{name}.logs"), failed),
        "store": read(f"{name}.store"),
    }


def _cut_v2(run: dict[str, Any]) -> dict[str, Any]:
    run.pop("plugins_output", None)
    return _cut_spec(run)


def _cut_spec(value: Any) -> Any:
    """Drop descriptions and programs, wherever they are."""
    if isinstance(value, list):
        return [_cut_spec(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, item in value.items():
        if key == "description" and isinstance(item, str):
            continue
        if key == "command" and isinstance(item, list):
            text = "\n".join(item).encode()
            kept[key] = [f"cut, sha256 {hashlib.sha256(text).hexdigest()[:12]}"]
        else:
            kept[key] = _cut_spec(item)
    return kept


def _cut_v1(answer: dict[str, Any], *, keep_spec: bool) -> set[str]:
    """Cut the run with its workflow, in place; returns the names of nodes that failed."""
    import yaml

    spec = answer["run"]["pipeline_spec"]
    spec.pop("workflow_manifest", None)
    if keep_spec:
        documents = [_cut_spec(d) for d in yaml.safe_load_all(spec["pipeline_manifest"])]
        spec["pipeline_manifest"] = yaml.safe_dump_all(documents)
    else:
        spec.pop("pipeline_manifest", None)
    workflow = json.loads(answer["pipeline_runtime"]["workflow_manifest"])
    for entry in workflow["metadata"].get("managedFields", []):
        entry.pop("fieldsV1")
    for key in ("templates", "arguments"):
        workflow["spec"].pop(key, None)
    status = workflow["status"]
    status.pop("storedTemplates", None)
    compressed = "compressedNodes" in status
    nodes = (
        json.loads(gzip.decompress(base64.b64decode(status["compressedNodes"])))
        if compressed
        else status["nodes"]
    )
    for node in nodes.values():
        _cut_node(node)
    if compressed:
        packed = gzip.compress(json.dumps(nodes).encode(), mtime=0)
        status["compressedNodes"] = base64.b64encode(packed).decode()
    answer["pipeline_runtime"]["workflow_manifest"] = json.dumps(workflow)
    return {node["id"].rpartition("-")[2] for node in nodes.values() if node["phase"] == "Failed"}


def _cut_node(node: dict[str, Any]) -> None:
    node.pop("resourcesDuration", None)
    for side in ("inputs", "outputs"):
        given = node.get(side, {})
        given.pop("artifacts", None)
        kept = []
        for parameter in given.get("parameters", []):
            if side == "inputs" and parameter["name"] not in _ITERATION:
                continue
            if parameter["name"] == "pod-spec-patch" and parameter.get("value"):
                parameter["value"] = _cut_patch(parameter["value"])
            kept.append({key: parameter[key] for key in ("name", "value") if key in parameter})
        if "parameters" in given:
            given["parameters"] = kept


def _cut_patch(text: str) -> str:
    """The pod of an executor: its image, its resources and what it is given to read and write."""
    patch = json.loads(text)
    for container in patch["containers"]:
        command = container["command"]
        at = command.index("--executor_input") + 1
        given = json.loads(command[at])
        given["inputs"].pop("parameterValues", None)
        for side in ("inputs", "outputs"):
            for artifacts in given[side].get("artifacts", {}).values():
                for artifact in artifacts["artifacts"]:
                    artifact.pop("metadata", None)
        container["command"] = [*command[:at], json.dumps(given)]
        for key in ("args", "env", "volumeMounts", "envFrom"):
            container.pop(key, None)
    return json.dumps({"containers": patch["containers"]})


def _cut_logs(logs: dict[str, Any], failed: set[str]) -> dict[str, Any]:
    kept = {}
    for pod, answer in logs["pods"].items():
        start, end, length = answer["body_start"], answer["body_end"], answer["length"]
        if length <= len(end):
            whole = end
        elif length <= len(start) + len(end):
            whole = start + end[len(start) + len(end) - length :]
        else:
            whole = f"{start}\n[…]\n{end}"
        is_answer = whole.startswith("{")  # that there is none
        if not is_answer and "driver" in pod and pod.rpartition("-")[2] not in failed:
            whole = end[-_END_OF_A_LOG:]
        kept[pod] = {"status": answer["status"], "body": whole}
    return {"pods": kept, "no-such-pod": logs["no-such-pod"]}


def main(folder: Path) -> None:
    """Cut every recording of a folder."""

    def read(name: str) -> Any:
        return json.loads(gzip.decompress((folder / f"{name}.json.gz").read_bytes()))

    def write(name: str, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True).encode()
        (HERE / f"{name}.json.gz").write_bytes(gzip.compress(text, mtime=0))

    for file in sorted(folder.glob("*.v2beta1.json.gz")):
        name = file.name.removesuffix(".v2beta1.json.gz")
        write(name, cut_run(read, name))
    if not (folder / f"{ENDPOINTS[0]}.json.gz").exists():
        return
    endpoints = {name: _cut_spec(read(name)) for name in ENDPOINTS}
    for run in endpoints["runs_page"]["body"]["runs"]:
        run.pop("plugins_output", None)
        run.pop("run_details", None)
    write("endpoints", endpoints)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
