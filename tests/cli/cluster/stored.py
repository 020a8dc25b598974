"""The store of a real run: the recorded keys, with small contents in the real formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts.leaderboard import Candidate, Leaderboard, RankedTrial
from kfp_finetune.components.artifacts.metrics import Metrics
from tests.cli.cluster.replay import Replay, recording, workflow
from tests.cli.commands.test_tensorboard import write_logs

ROOT = "minio://mlpipeline/v2/artifacts"
# A comparison that is not among the recordings, whose load_data and build_optimizer another took
# over, and a failed run, whose folder it has in the store all the same.
COMPARED = "kfp-finetune-compare-schedules/a0fd707a-5688-4683-b01d-d4914552ddc7"
BEFORE_THE_COMPARISON = [
    f"{COMPARED}/load-data/f6e0e88e-ad3b-48b7-aae8-3f76503aa6c4/data_report",
    f"{COMPARED}/load-data/f6e0e88e-ad3b-48b7-aae8-3f76503aa6c4/tokenized_dataset/train.arrow",
    *(
        f"{COMPARED}/build-optimizer/{uuid}/{output}"
        for uuid in (
            "88dae245-7e22-45ee-b026-28957fdea9c5",
            "eb20ec68-3f1b-4d9e-bdb0-739f4c41af23",
            "57536474-19a4-47b8-87b5-de8e57913562",
        )
        for output in ("learning_rate_curve", "optimizer_config/optimizer.json")
    ),
]


def keys(name: str) -> list[str]:
    """The artifacts' keys of a recorded run, below the pipeline root."""
    found = [entry["key"] for entry in recording(name)["store"]]
    return [key.removeprefix("v2/artifacts/") for key in found if key.startswith("v2/")]


def content(key: str, model: Path, logs: Path) -> bytes:
    """The content of a key: real where the code reads it, otherwise only named by the key."""
    parts = key.split("/")
    output = parts[4]
    if output == "model":
        file = model / parts[-1]
        return file.read_bytes() if file.is_file() else key.encode()
    if output == "metrics_json":
        metrics = Metrics(
            split="test", num_examples=4, metrics={"accuracy": 0.75},
            per_class=[], confusion_matrix=[], label_names=[],
        )  # fmt: skip
        return metrics.model_dump_json().encode()
    if output == "leaderboard":
        return _leaderboard().model_dump_json().encode()
    if output == "tensorboard_logs":
        if not logs.is_dir():
            write_logs(logs)
        return next(logs.iterdir()).read_bytes()
    return key.encode()


def fill(put: Callable[[str, bytes], None], model: Path, logs: Path, *names: str) -> None:
    """Put the outputs of recorded runs into a store."""
    for key in [key for name in names for key in keys(name)] + BEFORE_THE_COMPARISON:
        put(f"v2/artifacts/{key}", content(key, model, logs))


def with_index(replay: Replay, name: str, like: str, uri: str) -> None:
    """Have a recorded run end with record_artifacts, as the recorded step `evaluate` of another.

    Args:
        replay: Has the run.
        name: Of the run's recording.
        like: Of the recording whose `evaluate` ran.
        uri: Of what record_artifacts has written.
    """
    run = replay.runs[recording(name)["v2beta1"]["run_id"]]
    spec = run["v2beta1"]["pipeline_spec"]
    spec = spec.get("pipeline_spec", spec)
    artifact = {"artifactType": {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}}
    spec["components"]["comp-record"] = {
        "executorLabel": "exec-record", "outputDefinitions": {"artifacts": {"artifacts": artifact}}
    }  # fmt: skip
    spec["root"]["dag"]["tasks"]["record-artifacts"] = {
        "componentRef": {"name": "comp-record"}, "dependentTasks": ["evaluate"],
        "taskInfo": {"name": "record-artifacts"},
    }  # fmt: skip
    manifest, other = workflow(run["v1beta1"]), workflow(recording(like)["v1beta1"])
    nodes = manifest["status"]["nodes"]
    (root,) = [n["id"] for n in nodes.values() if n["displayName"] == "root(0)"]
    of_other = other["status"]["nodes"]
    (old_root,) = [n["id"] for n in of_other.values() if n["displayName"] == "root(0)"]
    ids = {n["id"] for n in of_other.values() if n["displayName"].startswith("evaluate")}
    for node in of_other.values():
        if ids & {node["id"], node.get("boundaryID")}:
            text = json.dumps(node).replace(old_root, root).replace("evaluate", "record-artifacts")
            added = json.loads(text)
            for parameter in added.get("outputs", {}).get("parameters", []):
                if parameter["name"] == "pod-spec-patch":
                    given = {"artifacts": {"artifacts": {"artifacts": [{"uri": uri}]}}}
                    command = ["launcher", "--executor_input", json.dumps({"outputs": given})]
                    parameter["value"] = json.dumps({"containers": [{"command": command}]})
            nodes[added["id"]] = added
    run["v1beta1"]["pipeline_runtime"]["workflow_manifest"] = json.dumps(manifest)


def moved(replay: Replay, root: str) -> None:
    """Have runs say that their artifacts are below another pipeline root."""
    text = json.dumps(replay.runs)
    assert ROOT in text
    replay.runs = json.loads(text.replace(ROOT, root))
    for run in replay.runs.values():
        run["v2beta1"]["runtime_config"]["pipeline_root"] = root


def _leaderboard() -> Leaderboard:
    def candidate(name: str, first: int) -> Candidate:
        attempts: list[Any] = [
            RankedTrial(
                index=first + seed, seed=seed, value=0.5, best_step=3,
                validation_metrics={"accuracy": 0.5}, test_metrics={"accuracy": 0.75}, seconds=1.0,
            )
            for seed in (0, 1)
        ]  # fmt: skip
        return Candidate(
            name=name, settings={}, mean=0.5, spread=0.0, diverged=0, diagnosis="converged",
            finding="It converged.", attempts=attempts,
        )  # fmt: skip

    candidates = [candidate("linear", 0), candidate("cosine", 2), candidate("constant", 4)]
    return Leaderboard(
        metric="accuracy", split="validation", less_is_better=False, verdict="linear is best",
        candidates=candidates,
    )  # fmt: skip
