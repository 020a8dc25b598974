"""The command in the report is valid and repeats the same training."""

from __future__ import annotations

import shlex
from dataclasses import MISSING, fields
from typing import Any

import pytest

from kfp_finetune.components.build_optimizer.parameters import Parameters, build_optimizer_config
from kfp_finetune.components.evaluate.report_page import render_report
from kfp_finetune.components.evaluate.reproduction import command
from kfp_finetune.components.finetune import parameters as finetune
from kfp_finetune.components.load_data import parameters as load_data
from kfp_finetune.components.repeating import changed
from kfp_finetune.pipelines import catalog, parameters
from kfp_finetune.pipelines.parameters import FINGERPRINTS
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
def test_the_command_describes_the_same_optimizer(given: dict[str, Any]) -> None:
    model = make_inputs(names_of(2), steps_per_epoch=47)[1]
    optimizer = build_optimizer_config(model.num_train_steps, **given)
    changes = finetune.Parameters(base_model="m", seed=7).all_changed(
        {"dataset": "it's here"}, optimizer.parameters
    )
    model = model.model_copy(update={"optimizer": optimizer, "parameters": changes})
    program, subcommand, *words = shlex.split(" ".join(command(model)))
    assert (program, subcommand) == ("kfp-finetune", "run")
    known = {p.option: p for p in parameters.load(catalog.PIPELINES["finetune"].definition)}
    values = {known[o].name: known[o].type(v) for o, v in zip(words[::2], words[1::2], strict=True)}
    # The rate is named also where it was chosen: another version may choose another.
    chosen = {"learning_rate": optimizer.schedule.learning_rate}
    assert values == {"dataset": "it's here", "model": "m", "seed": 7, **chosen, **given}


def test_without_recorded_parameters_there_is_no_command() -> None:
    model = make_inputs(names_of(2))[1]
    assert model.parameters is None and command(model) == []


@pytest.mark.parametrize("step", [load_data.Parameters, Parameters, finetune.Parameters])
@pytest.mark.parametrize("pipeline", catalog.PIPELINES)
def test_a_step_has_the_defaults_of_the_pipeline(pipeline: str, step: Any) -> None:
    defaults = parameters.defaults(catalog.PIPELINES[pipeline].definition)
    own = {f.name: f.default for f in fields(step) if f.default is not MISSING}
    if pipeline == "compare_schedules":  # where each candidate has its own
        own = {name: value for name, value in own.items() if name in defaults}
    else:
        own.pop("checkpoint_per_trial", None)  # of a comparison
    given = {name: defaults[name] for name in own}
    assert {n: "" if n in FINGERPRINTS else v for n, v in given.items()} == own


def test_a_password_in_a_uri_is_not_printed() -> None:
    metrics, model, log, dataset = make_inputs(names_of(2))
    secret = {"dataset": "https://me:hunter2@example.org/data.csv?token=hunter2"}
    given = {"model": "m", "test_dataset": "https://me:hunter2@example.org/data.csv", **secret}
    kept = changed(given, load_data.Parameters)
    assert kept["dataset"] == kept["test_dataset"] == "https://example.org/data.csv"
    model = model.model_copy(update={"parameters": kept})
    page = render_report(
        metrics, model.model_copy(update=secret), log, dataset.model_copy(update=secret)
    )
    assert "hunter2" not in page
    assert "example.org" in page
