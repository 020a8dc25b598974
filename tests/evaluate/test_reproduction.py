"""The command in the report is one that the command line takes, and means the same training."""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import Any

import pytest

from kfp_finetune.cli import catalog, parameters
from kfp_finetune.components.build_optimizer.parameters import Parameters, build_optimizer_config
from kfp_finetune.components.evaluate.report import render_report
from kfp_finetune.components.evaluate.reproduction import command
from tests.evaluate.inputs import make_inputs, names_of


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"learning_rate": 2e-5, "warmup_ratio": 0.1, "max_grad_norm": 1.0},
        {"optimizer": "sgd", "momentum": 0.9, "lr_scheduler_type": "cosine_with_restarts"},
        {"lr_scheduler_type": "cosine_with_restarts", "num_cycles": 1},
        {"optimizer": "adamw", "weight_decay": 0.01, "lr_scheduler_type": "warmup_stable_decay"},
        {"lr_scheduler_type": "piecewise_constant", "lr_boundaries": "0.33:1e-5,0.81:1e-6"},
    ],
)
def test_it_describes_the_same_optimizer(given: dict[str, Any]) -> None:
    _, model, _, dataset = make_inputs(names_of(2), steps_per_epoch=47)
    optimizer = build_optimizer_config(model.num_train_steps, **given)
    model = model.model_copy(update={"optimizer": optimizer, "seed": 7})
    program, subcommand, *words = shlex.split(" ".join(command(model, dataset)))
    assert (program, subcommand) == ("kfp-finetune", "run")
    known = {p.option: p for p in parameters.load(catalog.PIPELINES["finetune"].definition)}
    values = {known[o].name: known[o].type(v) for o, v in zip(words[::2], words[1::2], strict=True)}
    assert values["seed"] == 7
    assert (values["dataset"], values["text_column"]) == ("/data/banking77", "text")
    chosen = {f.name: values[f.name] for f in fields(Parameters) if f.name in values}
    assert build_optimizer_config(model.num_train_steps, **chosen) == optimizer


def test_a_number_of_steps_is_repeated_as_such() -> None:
    _, model, _, dataset = make_inputs(names_of(2), steps_per_epoch=47)
    model = model.model_copy(update={"num_train_epochs": 0.2})
    words = " ".join(command(model, dataset.model_copy(update={"dataset": "other.csv"})))
    assert "--max-steps 141" in words
    assert "--num-train-epochs" not in words
    assert "--text-column" not in words


def test_a_password_in_an_address_is_not_told() -> None:
    metrics, model, log, dataset = make_inputs(names_of(2))
    secret = {"dataset": "https://me:hunter2@example.org/data.csv?token=hunter2"}
    page = render_report(
        metrics, model.model_copy(update=secret), log, dataset.model_copy(update=secret)
    )
    assert "hunter2" not in page
    assert "example.org" in page
