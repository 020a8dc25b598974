"""Advice that is followed move by move: every command is valid, and none leads back."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest

from kfp_finetune.components.artifacts.metrics import Calibration, Reliability
from kfp_finetune.components.artifacts.model import StoppedAt
from kfp_finetune.components.artifacts.optimizer_config import (
    OPTIMIZERS,
    OptimizerConfig,
    usual_rates,
)
from kfp_finetune.components.artifacts.verdict import Tried, Verdict
from kfp_finetune.components.build_optimizer.parameters import DEFAULTS, build_optimizer_config
from kfp_finetune.components.build_optimizer.schedules import highest_rate
from kfp_finetune.components.chosen import choose_learning_rate
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.judgement.judge import judge
from kfp_finetune.components.load_data.steps import StepPlan, count_steps
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.token_classification.problem_types import ENTITIES, TAGS
from kfp_finetune.pipelines import catalog, parameters
from tests.judgement.trainings import (
    CHANCE,
    FALLING,
    FLAT,
    JUMPED,
    MINILM,
    SLOW,
    STEPS,
    facts,
    scored,
)

MOVES = 6
LENGTHS = ("num_train_epochs", "max_steps")


def schedules(rate: float) -> list[dict[str, Any]]:
    """Schedules with a part that other rates, lengths or a warmup may not fit."""
    return [
        {},
        {"lr_scheduler_type": "constant"},
        {"lr_scheduler_type": "cosine_with_restarts", "num_cycles": 8},
        {
            "lr_scheduler_type": "piecewise_constant",
            "lr_boundaries": f"0.05:{rate / 2:g},0.5:{rate / 10:g}",
        },
        {"lr_scheduler_type": "piecewise_constant", "lr_boundaries": f"0.5:{rate / 2:g}"},
        {"lr_scheduler_type": "warmup_stable_decay", "decay_ratio": 0.95},
        {"lr_scheduler_type": "inverse_sqrt", "warmup_ratio": 0.2},
        {"lr_scheduler_type": "linear", "end_learning_rate": rate / 2},
        {"lr_scheduler_type": "exponential", "decay_rate": 50.0},
        {"warmup_steps": 30},
    ]


def trainings(kind: str) -> list[Facts]:
    """Trainings with a fault, or that may have been stopped too soon."""
    lost = scored(kind, learned=False)
    constant = lost.baseline["loss"]
    how: dict[str, Any] = {"kind": kind, "constant_loss": constant, "num_validation_examples": 200}
    level = [constant * 0.7] * 3
    extreme = scored(kind)
    if kind != REGRESSION:
        before = Reliability(ece=0.4, loss=2 * constant, bins=[])
        extreme.calibration = Calibration(temperature=1.0, before=before)

    def made(losses: np.ndarray, validation: list[float], **changes: Any) -> Facts:
        validation = [constant * share for share in validation]
        return facts(losses * constant / CHANCE, validation, **how, **changes)

    return [
        made(FLAT, [1.0] * 3, metrics=lost),
        made(JUMPED, [0.7, 1.0, 1.0], metrics=lost),
        made(0.8 * FLAT, [0.8] * 3),
        made(SLOW, [0.8, 0.65, 0.5]),
        made(SLOW, [0.8, 0.65, 0.65]),
        made(FALLING, [0.2, 0.28, 0.37], values=level),
        made(FALLING, [0.2, 0.9, 1.3], values=[0.1, 0.3, 0.5], metrics=extreme),
    ]


KINDS = (SINGLE_LABEL, MULTI_LABEL, REGRESSION, ENTITIES, TAGS)
TRAININGS = {kind: trainings(kind) for kind in KINDS}


class Chain:
    """Runs in a row, each one started by the advice of the one before.

    Args:
        seed: Draws the first settings, the data, and what every run looks like.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        draw = self._random.choice
        self.kind = draw(KINDS)
        self.labels = len(TRAININGS[self.kind][0].model.label_names)
        optimizer = draw(OPTIMIZERS)
        usual = choose_learning_rate(MINILM, optimizer)
        rate = float(f"{usual * 10 ** self._random.uniform(-4, 4):.1e}")
        self.rows, self.accumulated = draw((20, 200, 9003)), draw((1, 64))
        length = draw(LENGTHS)
        values: tuple[float, ...] = (1, 50, 2000) if length == "max_steps" else (0.5, 1, 10, 50)
        self.settings: dict[str, Any] = {
            "optimizer": optimizer,
            "learning_rate": rate,
            length: draw(values),
            **draw(schedules(rate)),
        }
        if optimizer == "sgd":
            self.settings["momentum"] = draw((0.0, 0.9))
        if patience := draw((0, 1, 2, 5)):
            self.settings["early_stopping_patience"] = patience
        self.tried: tuple[Tried, ...] = ()

    def planned(self) -> tuple[StepPlan, OptimizerConfig]:
        """The steps and the optimizer of the next run.

        Raises:
            InputError: If its parameters are not valid.
        """
        lengths = {name: self.settings.get(name) for name in LENGTHS}
        plan = count_steps(
            self.rows,
            num_labels=self.labels,
            gradient_accumulation_steps=self.accumulated,
            **lengths,
        )
        own = {name: value for name, value in self.settings.items() if name in DEFAULTS}
        return plan, build_optimizer_config(plan.num_train_steps, MINILM, **own)

    def run(self) -> Verdict:
        """Judge the next run, and change the settings as advised."""
        plan, config = self.planned()
        made = self._random.choice(TRAININGS[self.kind])
        steps = plan.num_train_steps
        patient = self.settings.get("early_stopping_patience", steps)
        cut = self._random.random() < 0.5 and patient < plan.num_train_epochs / 3
        model = made.model.model_copy(
            update={
                "num_train_examples": self.rows,
                "num_train_epochs": plan.num_train_epochs,
                "num_train_steps": steps,
                "updates_done": steps // 3 if cut else steps,
                "stopped_at": StoppedAt(step=steps // 3, reason="") if cut else None,
                "steps_per_epoch": plan.steps_per_epoch,
                "optimizer": config,
                "best_step": STEPS if self.settings.get("load_best_model_at_end") else None,
                "parameters": self.settings,
            }
        )
        verdict = judge(Facts(made.metrics, model, made.records, tried=self.tried))
        self.tried, self.settings = tuple(verdict.as_tried()), self.settings | verdict.options
        return verdict


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_every_advised_command_is_valid_and_no_value_returns(first: int) -> None:
    known = {p.name for p in parameters.load(catalog.find("finetune").definition)}
    for seed in range(first, first + 100):
        chain = Chain(seed)
        try:
            chain.planned()
        except InputError:  # the schedule does not fit the first length
            continue
        settings, verdicts = [chain.settings], []
        for _ in range(MOVES):
            verdicts.append(chain.run())
            chain.planned()
            if not (options := verdicts[-1].options):
                break
            assert options.keys() <= known
            if "learning_rate" in options:
                _, config = chain.planned()
                bounds = usual_rates(config.name, config.momentum)
                peak = highest_rate(config.schedule, config.schedule.num_train_steps + 1)
                assert 0.95 * bounds.lowest <= peak <= 1.05 * bounds.highest  # two digits
            assert chain.settings not in settings, verdicts
            settings.append(chain.settings)
        for name in ("learning_rate", "early_stopping_patience", *LENGTHS):
            never_returns([s[name] for s in settings if name in s], verdicts)


def never_returns(values: list[float], verdicts: list[Verdict]) -> None:
    """A value never returns to one that was left, nor passes it."""
    for i, j in itertools.combinations(range(len(values)), 2):
        if values[i] != values[i + 1]:
            raised = values[i + 1] > values[i]
            assert values[j] > values[i] if raised else values[j] < values[i], (values, verdicts)


def test_after_a_lower_rate_that_taught_nothing_either_the_labels_are_looked_at() -> None:
    """The length would double at every move."""
    tried: tuple[Tried, ...] = ()
    settings: dict[str, Any] = {"learning_rate": 2e-4}
    for move in range(2):
        made = facts(
            np.full(STEPS, 4.3), [4.3] * 3, metrics=scored(learned=False), tried=tried, epochs=10,
            rate=settings["learning_rate"], settings={"warmup_ratio": 0.1} if move else {},
        )  # fmt: skip
        verdict = judge(made)
        tried, settings = tuple(verdict.as_tried()), settings | verdict.options
    assert settings["learning_rate"] == 5e-5
    assert not verdict.options and "check that the labels" in verdict.advice


def test_large_batches_need_more_steps_before_the_labels_are_suspected() -> None:
    """The usual epochs are 20 steps of 2,048 examples."""
    made = facts(np.full(20, 4.3), [], metrics=scored(learned=False), epochs=10, tried=())
    assert judge(made).options == {"num_train_epochs": 40}


def test_a_divergence_at_the_lowest_rate_is_no_question_of_the_usual_rate() -> None:
    made = facts(
        np.where(np.arange(STEPS) < 9, 4.0, 400.0), [], rate=1e-6,
        settings={"warmup_ratio": 0.1, "max_grad_norm": 1.0},
    )  # fmt: skip
    found = judge(made)
    assert found.kind == "diverged" and not found.options
    assert "cannot be lowered further" in found.advice
