"""Input that is refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.pipelines.catalog import find
from kfp_finetune.pipelines.checks import check_settings
from kfp_finetune.pipelines.parameters import complete, load
from tests import tiny
from tests.commands import call


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
        {"focal_gamma": 2.0, "class_weights": "balanced"},
        {
            "positive_label": "spam",
            "metric_for_best_model": "f1",
            "load_best_model_at_end": True,
        },
        {"class_weights": "a=2", "problem_type": "multi_label_classification"},
        {
            "class_weights": "balanced",
            "problem_type": "multi_label_classification",
            "metric_for_best_model": "macro_f1",
            "load_best_model_at_end": True,
        },
        {"label_smoothing_factor": 0.1, "problem_type": "multi_label_classification"},
        {"metric_for_best_model": "mae", "load_best_model_at_end": True},
        {
            "metric_for_best_model": "f1",
            "early_stopping_patience": 2,
            "task": "token-classification",
            "class_weights": "balanced",
        },
        {"early_stopping_patience": 2, "validation_fraction": 0.0, "split_column": "part"},
        {"early_stopping_patience": 2, "validation_fraction": 0.0, "dataset": "owner/data"},
    ],
    ids=str,
)
def test_valid_parameters_pass(given: dict[str, Any]) -> None:
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
        ({"focal_gamma": -1.0}, "focal_gamma"),
        ({"focal_gamma": 11.0}, "focal_gamma"),
        ({"positive_label": "spam", "problem_type": "regression"}, "positive_label"),
        (
            {"positive_label": "spam", "problem_type": "multi_label_classification"},
            "positive_label",
        ),
        ({"positive_label": "B-PER", "task": "token-classification"}, "positive_label"),
        (
            {"metric_for_best_model": "f1", "load_best_model_at_end": True},
            "metric_for_best_model",
        ),
        ({"focal_gamma": 2.0, "label_smoothing_factor": 0.1}, "focal_gamma"),
        ({"focal_gamma": 2.0, "problem_type": "regression"}, "focal_gamma"),
        ({"class_weights": "a=2", "problem_type": "regression"}, "class_weights"),
        ({"class_weights": "balanced", "problem_type": "regression"}, "class_weights"),
        (
            {"label_smoothing_factor": 0.1, "problem_type": "regression"},
            "label_smoothing_factor",
        ),
        ({"task": "translation"}, "task"),
        ({"problem_type": "binary"}, "problem_type"),
        ({"task": "token-classification", "problem_type": "regression"}, "problem_type"),
        ({"task": "token-classification", "text_pair_column": "b"}, "text_pair_column"),
        ({"label_all_tokens": True}, "label_all_tokens"),
        ({"on_bad_row": "mend"}, "on_bad_row"),
        ({"delimiter": "--"}, "delimiter"),
        ({"metric_for_best_model": "accuracy"}, "metric_for_best_model"),
        (
            {
                "metric_for_best_model": "mae",
                "problem_type": "single_label_classification",
                "load_best_model_at_end": True,
            },
            "metric_for_best_model",
        ),
        ({"early_stopping_patience": 2, "validation_fraction": 0.0}, "early_stopping_patience"),
        ({"early_stopping_patience": 0}, "early_stopping_patience"),
    ],
    ids=str,
)
def test_values_that_a_step_would_refuse_are_refused_at_once(
    given: dict[str, Any], where: str
) -> None:
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
def test_values_that_a_runner_would_replace_are_refused(given: dict[str, Any], part: str) -> None:
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


def test_all_problems_are_reported_in_the_order_of_the_parameters() -> None:
    with pytest.raises(InputError) as caught:
        check(
            optimizer="adamm",
            batch_size=0,
            quoting="some",
            metric_for_best_model="acuracy",
            lr_scheduler_type="cosin",
            early_stopping_patience=3,
            validation_fraction=0.0,
            checkpoints_to_keep=0,
            test_fraction=1.5,
        )
    problems = caught.value.problems
    order = [p.name for p in load(find("finetune").definition)]
    reported = [problem.where for problem in problems]
    assert sorted(reported, key=order.index) == reported
    assert set(reported) == {
        "test_fraction", "quoting", "batch_size", "lr_scheduler_type", "optimizer",
        "checkpoints_to_keep", "early_stopping_patience", "metric_for_best_model",
    }  # fmt: skip
    remedies = {problem.where: problem.remedy for problem in problems}
    assert remedies["optimizer"] == "--optimizer adam"
    assert remedies["lr_scheduler_type"] == "--lr-scheduler-type cosine"
    assert remedies["metric_for_best_model"] == "--metric-for-best-model accuracy"
    again = InputError.from_dict(caught.value.as_dict())  # as it crosses containers
    assert str(again) == str(caught.value) == "\n".join(map(str, problems))


def test_a_command_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    data = tiny.write_csv(tmp_path / "data.csv", tiny.rows(9))
    words = ["run", "--dataset", data.name, "--model", "./modell", "--name", "first"]
    done = call(tmp_path, *words, "--metric-for-best-model", "acuracy", "--optimizer", "adamm")
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if not line.startswith("  ")]
    assert errors == [
        "error: there is no such folder",
        "error: unknown optimizer 'adamm'",
        "error: metric_for_best_model 'acuracy' is not measured",
    ]
    assert list(tmp_path.iterdir()) == [data]
