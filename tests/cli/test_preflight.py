"""What is refused before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from kfp_finetune.cli.catalog import find
from kfp_finetune.cli.parameters import complete, load
from kfp_finetune.cli.preflight import check_settings
from kfp_finetune.components.errors import InputError


def check(**given: Any) -> None:
    parameters = load(find("finetune").definition)
    check_settings("finetune", complete(parameters, {"dataset": "d.csv", "model": "m", **given}))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"lr_scheduler_type": "warmup_stable_decay", "warmup_ratio": 0.5, "decay_ratio": 0.5},
        {"lr_scheduler_type": "piecewise_constant", "lr_boundaries": "0.5:1e-5,0.8:1e-6"},
        {"lr_scheduler_type": "cosine_with_restarts", "num_cycles": 4, "warmup_steps": 100},
        {"optimizer": "sgd", "momentum": 0.9},
        {"label_smoothing_factor": 0.1, "class_weights": "balanced"},
        {"label_smoothing_factor": 0.1, "problem_type": "multi_label_classification"},
    ],
    ids=str,
)
def test_what_can_be_trained_passes(given: dict[str, Any]) -> None:
    check(**given)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"momentum": 0.9}, "momentum"),
        ({"num_cycles": 3}, "num_cycles"),
        ({"lr_scheduler_type": "piecewise_constant"}, "lr_boundaries"),
        ({"warmup_steps": 10, "max_steps": 10}, "warmup_steps, warmup_ratio"),
        (
            {
                "lr_scheduler_type": "warmup_stable_decay",
                "warmup_ratio": 0.5,
                "decay_ratio": 0.6,
            },
            "warmup_steps, warmup_ratio, decay_ratio",
        ),
        ({"label_smoothing_factor": 1.0}, "label_smoothing_factor"),
        ({"class_weights": "equal"}, "class_weights"),
        (
            {"class_weights": "balanced", "problem_type": "multi_label_classification"},
            "class_weights",
        ),
        (
            {"label_smoothing_factor": 0.1, "problem_type": "regression"},
            "label_smoothing_factor",
        ),
        ({"task": "translation"}, "task"),
    ],
    ids=str,
)
def test_what_a_step_would_refuse_is_refused_at_once(given: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError) as error:
        check(**given)
    assert error.value.where == where


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"text_column": "{{workflow.name}}"}, "{{"),  # Argo's
        ({"dataset": "{{$.pipeline_job_name}}.csv"}, "{{"),  # KFP's local runner's
        ({"label_names": "a,{{"}, "{{"),
        ({"checkpoint_dir": "s3://a/[[RunUUID]]"}, "[[RunUUID"),  # KFP's server's
        ({"dataset": "s3://a/[[CurrentTime.2006-01-02]].csv"}, "[[CurrentTime"),
    ],
    ids=str,
)
def test_what_a_runner_would_replace_is_refused(given: dict[str, Any], part: str) -> None:
    with pytest.raises(InputError) as caught:
        check(**given)
    (name,) = given
    assert caught.value.found == f"{name} contains {part}"
    assert caught.value.where == "--" + name.replace("_", "-")


def test_other_brackets_are_text() -> None:
    check(text_column="[[a]]", label_column="{b}", dataset="s3://a/[[Indexed]].csv")


def test_so_it_is_in_a_comparison() -> None:
    pipeline = find("compare_schedules")
    given = {"dataset": "d.csv", "model": "m", "candidates": [{"name": "{{item}}"}]}
    with pytest.raises(InputError, match=r"candidates contains \{\{"):
        check_settings(pipeline.name, complete(load(pipeline.definition), given))
