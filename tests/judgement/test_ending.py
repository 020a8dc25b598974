"""Trainings that were stopped early, and probabilities that mislead at the end."""

from __future__ import annotations

from typing import Any

import pytest

from kfp_finetune.components.artifacts.metrics import Calibration, Reliability
from kfp_finetune.components.artifacts.model import StoppedAt
from kfp_finetune.components.artifacts.verdict import Tried
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.judgement.judge import judge
from tests.judgement.trainings import CHANCE, FALLING, FLAT, SLOW, STEPS, facts, scored

HEALTHY, NOTHING = "healthy", "nothing learned"


def stopped(
    *, planned: int = 5 * STEPS, patience: int = 1, rows: int = 300, last: float = 3.0, **how: Any
) -> Facts:
    """A training that early stopping ended after an evaluation that was no better."""
    losses = how.pop("losses", SLOW)
    made = facts(
        losses, [3.6, 2.9, last], num_validation_examples=rows, constant_loss=CHANCE,
        stopped_at=StoppedAt(step=STEPS, reason="no improvement"),
        parameters={"early_stopping_patience": patience}, **how,
    )  # fmt: skip
    model = made.model.model_copy(update={"num_train_steps": planned})
    return Facts(made.metrics, model, made.records, tried=made.tried)


def test_early_stopping_within_noise_is_no_end_of_learning() -> None:
    found = judge(stopped())
    assert found.kind == "undertrained" and found.options == {"early_stopping_patience": 3}
    other = judge(stopped(patience=2, rows=399, planned=2 * STEPS + 1))
    assert other.kind == "undertrained" and other.options == {"early_stopping_patience": 4}


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        pytest.param(stopped(patience=3), HEALTHY, id="three evaluations are no chance"),
        pytest.param(stopped(rows=400), HEALTHY, id="many rows"),
        pytest.param(stopped(planned=2 * STEPS), HEALTHY, id="half of the plan"),
        pytest.param(stopped(last=3.3), "overfitted", id="the loss rose"),
        pytest.param(stopped(losses=FALLING), HEALTHY, id="the training loss is low"),
        pytest.param(stopped(losses=0.8 * FLAT), HEALTHY, id="the training loss is level"),
        pytest.param(
            stopped(tried=(Tried(kind="overfitted", learning_rate=2e-4, num_train_steps=1500),)),
            HEALTHY, id="a longer one overfitted",
        ),
    ],
)  # fmt: skip
def test_early_stopping_may_be_right(made: Facts, kind: str) -> None:
    assert judge(made).kind == kind
    assert judge(made).options.get("early_stopping_patience") is None


def test_a_training_that_was_stopped_before_it_learned_needs_more_patience() -> None:
    """Accuracy and loss may stay at those of a constant answer for the first epochs."""

    def options(**how: Any) -> dict[str, Any]:
        found = judge(stopped(metrics=scored(learned=False), epochs=10, **how))
        assert found.kind == NOTHING
        return found.options

    assert options() == {"early_stopping_patience": 3}
    assert options(patience=4) == {"early_stopping_patience": 8}
    assert options(rate=1e-5) == {"learning_rate": 2e-4}
    assert "early_stopping_patience" not in options(planned=2 * STEPS)


def confident(loss: float, calibrated: float | None, **how: Any) -> Facts:
    """A training whose accuracy improved, and whose last validation loss is this one."""
    metrics = how.pop("metrics", scored(loss=loss))
    before = Reliability(ece=0.3, loss=loss, bins=[])
    after = None if calibrated is None else Reliability(ece=0.1, loss=calibrated, bins=[])
    metrics.calibration = Calibration(temperature=4.0, before=before, after=after)
    values = [0.5, 0.7, 0.9]
    return facts(
        FALLING, [0.9, 3.0, loss], values=values, metrics=metrics, constant_loss=CHANCE, **how
    )


def test_a_temperature_makes_overconfident_probabilities_usable() -> None:
    found = judge(confident(5.0, 1.0))
    assert found.kind == HEALTHY and "log loss from 5.000 to 1.000" in found.finding


@pytest.mark.parametrize("calibrated", [4.5, None])
def test_probabilities_worse_than_a_constant_answers_are_overfitted(
    calibrated: float | None,
) -> None:
    found = judge(confident(5.0, calibrated))
    assert found.kind == "overfitted" and "and a constant answer's is 4.344" in found.finding
    assert "chance" not in found.finding
    assert found.options["metric_for_best_model"] == "accuracy"  # it improved
    kept = confident(5.0, calibrated, tried=tuple(found.as_tried()), best_step=STEPS)
    assert judge(kept).kind == HEALTHY
    assert judge(confident(4.3, calibrated)).kind == HEALTHY
    assert judge(confident(5.0, calibrated, class_weights="balanced")).kind == HEALTHY
