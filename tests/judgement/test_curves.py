"""Diagnoses of unmistakable curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.evaluate.diagnosis import diagnose
from tests.evaluate.inputs import make_inputs, names_of

STEPS, EPOCHS = 300, 3
X = np.linspace(0, 1, STEPS)
CHANCE = np.log(77)
FALLING = CHANCE * np.exp(-4 * X) + 0.2
SLOW = CHANCE * (1 - 0.5 * X)
JUMPED = np.where(X < 0.5, CHANCE * (1 - X), CHANCE)


def record(losses: np.ndarray, validation: list[float]) -> list[dict[str, Any]]:
    """A training log with the noise of batches of 32, and an evaluation after each epoch."""
    noise = np.random.default_rng(0).gamma(40, 1 / 40, len(losses))
    log: list[dict[str, Any]] = []
    for step, loss in enumerate(losses * noise):
        log.append({"step": step, "learning_rate": 5e-5, "loss": float(loss)})
        if validation and (step + 1) % (len(losses) // len(validation)) == 0:
            value = validation[(step + 1) // (len(losses) // len(validation)) - 1]
            log.append({"step": step + 1, "validation": {"loss": value}})
    return log


def model(**changes: Any) -> ModelManifest:
    made = make_inputs(names_of(2), steps_per_epoch=STEPS // EPOCHS, epochs=EPOCHS)[1]
    schedule = made.optimizer.schedule.model_copy(update=changes.pop("schedule", {}))
    optimizer = made.optimizer.model_copy(update={"schedule": schedule})
    return made.model_copy(update={"optimizer": optimizer, **changes})


@pytest.mark.parametrize(
    ("losses", "validation", "kind", "remedy"),
    [
        pytest.param(FALLING, [1.6, 0.6, 0.4], "fine", "", id="falls and levels out"),
        pytest.param(FALLING, [], "fine", "", id="the same without validation rows"),
        pytest.param(FALLING, [1.6, 0.6, 0.61], "fine", "", id="validation levels out"),
        pytest.param(np.full(STEPS, 0.05), [0.05] * 3, "fine", "", id="knew it before"),
        pytest.param(
            SLOW, [3.6, 2.9, 2.2], "undertrained",
            "--num-train-epochs 6, or --learning-rate 0.0001",
            id="still falling",
        ),
        pytest.param(
            SLOW, [], "undertrained", "--num-train-epochs 6", id="still falling, no validation rows"
        ),
        pytest.param(
            FALLING, [0.9, 1.2, 1.6], "overfitted",
            "--load-best-model-at-end with --early-stopping-patience 2, or --num-train-epochs 1",
            id="validation rises",
        ),
        pytest.param(
            SLOW, [1.2, 0.9, 1.3], "overfitted", "--num-train-epochs 2",
            id="validation rises while training still falls",
        ),
        pytest.param(
            JUMPED, [3.0, 4.3, 4.3], "diverged",
            "--learning-rate 1e-05 and --max-grad-norm 1", id="jumps to chance",
        ),
        pytest.param(
            np.where(X < 0.9, FALLING, np.nan), [1.6, 0.6], "diverged",
            "--learning-rate 1e-05", id="is no number",
        ),
        pytest.param(
            np.full(STEPS, CHANCE), [CHANCE] * 3, "not learned",
            "--num-train-epochs 6, or --learning-rate 0.0005", id="never leaves chance",
        ),
        pytest.param(
            CHANCE * (1 + 0.5 * X), [5, 6, 7], "not learned", "--learning-rate 1e-05",
            id="rises from the start",
        ),
        pytest.param(
            CHANCE * (1 - 0.9 * X + 0.4 * X**2), [3.4, 2.6, 2.2], "undertrained", "",
            id="levelled out by the rate alone",
        ),
        pytest.param(
            1.9 + 2.4 * np.exp(-12 * X), [2.1, 1.9, 1.9], "fine", "", id="a hard task, learned",
        ),
        pytest.param(FALLING[:10], [], "unknown", "", id="ten updates"),
        pytest.param(np.zeros(0), [], "unknown", "", id="nothing"),
    ],
)  # fmt: skip
def test_diagnoses(losses: np.ndarray, validation: list[float], kind: str, remedy: str) -> None:
    found = diagnose(record(losses, validation), model(), CHANCE)
    assert (found.kind, remedy in found.remedy) == (kind, True), found
    if kind in ("fine", "unknown"):
        assert found.remedy == ""


def test_a_high_rate_that_learns_nothing_should_be_lowered() -> None:
    log = record(np.full(STEPS, CHANCE), [CHANCE] * 3)
    schedule = {"learning_rate": 1e-2, "warmup_steps": 0}
    assert "--learning-rate 0.002, with --warmup-ratio 0.1" in (
        diagnose(log, model(schedule=schedule), CHANCE).remedy
    )


def test_kept_best_weights_need_no_remedy() -> None:
    log = record(FALLING, [0.9, 1.2, 1.6])
    found = diagnose(log, model(best_step=STEPS // EPOCHS), CHANCE)
    assert found.kind == "fine"
    assert "the weights of that epoch were kept" in found.finding


def test_learning_only_the_label_frequencies_is_not_learning() -> None:
    log = record(0.55 * np.exp(-40 * X) + 0.16, [0.16] * 3)
    assert diagnose(log, model(), 0.16).kind == "not learned"
    assert diagnose(log, model(), 0.3).kind == "fine"
    assert diagnose(log, model(class_weights="balanced"), 0.16).kind == "fine"


@pytest.mark.parametrize(
    ("rate", "remedy"), [(8e-4, "Try --learning-rate 0.00016"), (5e-5, "or --learning-rate 0.0005")]
)
def test_a_low_loss_without_a_found_entity_is_not_learning(rate: float, remedy: str) -> None:
    """Most words are outside of entities: the loss falls without any found."""
    made = model(
        schedule={"learning_rate": rate},
        problem_type="entity_recognition",
        validation_metrics={"loss": 0.2, "f1": 0.0},
    )
    found = diagnose(record(FALLING, [1.6, 0.6, 0.4]), made, CHANCE)
    assert found.kind == "not learned" and "no entity" in found.finding
    assert remedy in found.remedy
