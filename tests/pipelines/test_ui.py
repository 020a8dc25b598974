"""Kubeflow's interface for a run: summary, metrics, metadata, and cached steps."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kfp_finetune.cli.cluster.platform import Platform
from kfp_finetune.cli.pipeline.compilation import compiled
from kfp_finetune.pipelines.catalog import PIPELINES


def artifact(run: Path, step: str, name: str) -> dict[str, Any]:
    output = json.loads((run / step / "executor_output.json").read_text())
    found: dict[str, Any] = output["artifacts"][name]["artifacts"][0]["metadata"]
    return found


def test_the_summary_has_verdict_model_data_and_five_metrics(readme_run: Path) -> None:
    text = (readme_run / "evaluate" / "summary").read_text()
    result, _, model, data, *metrics = [line for line in text.splitlines() if line]
    assert result.startswith("**")
    assert "test examples" in result
    assert model.endswith("2 of 2 steps")
    assert "messages.csv, " in data
    assert len(metrics) == 5
    assert re.fullmatch(
        r"- Accuracy: \*\*[\d.]+%\*\* \([\d.]+% to [\d.]+%, baseline [\d.]+%\)", metrics[0]
    )


def test_the_logs_panel_has_lines_for_people_and_none_of_tensorflows(readme_run: Path) -> None:
    printed = (readme_run / "printed.txt").read_text()
    assert re.search(r"finetune: 2 of 2 steps · epoch 1/1 · loss \d\.\d+ · rate \d", printed)
    for noise in ("oneDNN", "cuda", "absl::", "CPU instructions"):
        assert noise not in printed


def test_compare_has_validation_metrics_under_evaluates_names(readme_run: Path) -> None:
    training = artifact(readme_run, "finetune", "training_metrics")
    assert training.keys() == {"accuracy", "macro_f1", "loss"}
    assert training.keys() <= artifact(readme_run, "evaluate", "metrics").keys()


def test_every_artifact_has_a_file_whose_beginning_the_ui_shows(readme_run: Path) -> None:
    """Where there is none, "Error in retrieving artifact preview." stands there in red."""
    for step in ("finetune", "evaluate"):
        for name in json.loads((readme_run / step / "executor_output.json").read_text())[
            "artifacts"
        ]:
            assert (readme_run / step / name).exists(), name
    shown = json.loads((readme_run / "finetune" / "training_metrics").read_text())
    assert shown == artifact(readme_run, "finetune", "training_metrics")


def test_a_model_shows_data_headline_and_size(readme_run: Path) -> None:
    metadata = artifact(readme_run, "finetune", "model")
    assert metadata["dataset"].endswith("messages.csv")
    assert 0 <= metadata["validation_accuracy"] <= 1
    size = sum(f.stat().st_size for f in (readme_run / "finetune/model").rglob("*") if f.is_file())
    assert metadata["size_mb"] == round(size / 1e6, 1) > 0


def test_numbers_that_the_metadata_store_would_round_are_text(readme_run: Path) -> None:
    metadata = artifact(readme_run, "build-optimizer", "optimizer_config")
    assert metadata["adam_epsilon"] == "1e-07"
    assert metadata["schedule"]["learning_rate"] == "5e-05"
    assert "max_grad_norm" not in metadata


def cached_by(platform: dict[str, Any]) -> dict[str, Any]:
    """The content of KFP's cache key of every step (v2/driver/cache.go), except the inputs."""
    documents = list(
        yaml.safe_load_all(compiled(PIPELINES["finetune"], Platform.model_validate(platform)))
    )
    executors = documents[0]["deploymentSpec"]["executors"]
    pods = (
        documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        if (len(documents) > 1 and "deploymentSpec" in documents[1]["platforms"]["kubernetes"])
        else {}
    )
    return {
        "pipeline": documents[0]["pipelineInfo"]["name"],
        **{
            name: (
                *(executor["container"][part] for part in ("image", "command", "args")),
                list(pods.get(name, {}).get("pvcMount", [])),
            )
            for name, executor in executors.items()
        },
    }


@pytest.mark.parametrize(
    ("platform", "part"),
    [
        ({"env": {"OMP_NUM_THREADS": "2"}}, False),
        ({"steps": {"finetune": {"memory_limit": "8Gi", "retries": 2}}}, False),
        ({"secrets": [{"name": "hub", "env": {"HF_TOKEN": "token"}}]}, False),
        ({"image": "registry.example.com/kfp-finetune:0.2.0"}, True),
        ({"hub_cache_pvc": "hub"}, True),
    ],
)
def test_image_and_volumes_are_part_of_kfps_cache_key_and_nothing_else(
    platform: dict[str, Any], part: bool
) -> None:
    assert (cached_by(platform) != cached_by({})) == part


def test_pipelines_do_not_share_kfps_cache_as_documented() -> None:
    names = {
        yaml.safe_load(p.definition.read_text())["pipelineInfo"]["name"] for p in PIPELINES.values()
    }
    assert len(names) == len(PIPELINES)
    guide = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    assert "`finetune` and `compare_schedules` share no steps" in " ".join(guide.split())
