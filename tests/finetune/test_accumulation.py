"""An update from several batches is the update of one batch that holds all of their examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.build_optimizer.optimizers import build_optimizer
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.build_optimizer.schedules import learning_rates
from kfp_finetune.components.finetune import devices
from kfp_finetune.components.finetune.inputs import Rows, training_dataset
from kfp_finetune.components.finetune.trainer import (
    EXAMPLES,
    GRADIENT_NORM,
    LEARNING_RATE,
    LOSS,
    Trainer,
)
from kfp_finetune.components.load_data.steps import count_steps
from kfp_finetune.components.models.loading import load_classifier
from kfp_finetune.components.tasks.loss_parameters import LossParameters
from kfp_finetune.components.tasks.text_classification.problem_types import SINGLE_LABEL
from kfp_finetune.components.tasks.text_classification.task import TASK
from tests import tiny
from tests.finetune.runs import without_dropout

SEED = 5
ADAM_EPSILON = 1e-3  # so that a gradient of about 0 is not blown up to a whole step by rounding


@pytest.fixture(scope="module")
def network(tiny_model: Path) -> Any:
    """A network without dropout."""
    devices.configure(0)
    made = load_classifier(
        tiny_model,
        num_labels=3,
        label_names=list(tiny.LABELS),
        problem_type=SINGLE_LABEL,
        seed=7,
    )
    without_dropout(made)
    return made


@pytest.fixture(scope="module")
def initial(network: Any) -> list[np.ndarray]:
    """The weights that every training starts from."""
    return [weight.copy() for weight in network.get_weights()]


def merged(rows: Rows, update: dict[str, Any]) -> dict[str, Any]:
    """The update's real examples as one batch, and nothing else."""
    chosen = update["rows"][update["weights"] > 0]
    batch = rows.batch(chosen.numpy(), int(rows.lengths[chosen].max()))
    return {
        "features": {name: tf.constant(value[np.newaxis]) for name, value in batch.items()},
        "labels": tf.gather(rows.labels, chosen)[tf.newaxis],
        "weights": tf.ones([1, tf.size(chosen)]),
        "rows": chosen[tf.newaxis],
    }


@settings(max_examples=5, deadline=None)
@given(
    examples=st.integers(9, 50),
    batch_size=st.integers(3, 9),
    accumulation=st.integers(2, 4),
    optimizer=st.sampled_from(
        [
            {"optimizer": "sgd", "learning_rate": 0.3},
            {"optimizer": "adam", "learning_rate": 1e-3, "adam_epsilon": ADAM_EPSILON},
        ]
    ),
    max_grad_norm=st.sampled_from([None, 0.05]),
    loss_parameters=st.sampled_from(
        [
            LossParameters(),
            LossParameters(label_smoothing_factor=0.1),
            LossParameters(class_weights="balanced", focal_gamma=2.0),
        ]
    ),
)
def test_accumulated_batches_make_the_update_of_one_big_batch(
    tiny_data: Path,
    network: Any,
    initial: list[np.ndarray],
    examples: int,
    batch_size: int,
    accumulation: int,
    optimizer: dict[str, Any],
    max_grad_norm: float | None,
    loss_parameters: LossParameters,
) -> None:
    """Ragged last batches and groups, the clipped gradient and the weighted loss included."""
    plan = count_steps(examples, batch_size, 2, None, accumulation)
    table = tokenized_dataset.open_split(tiny_data, "train").slice(0, examples)
    manifest = tokenized_dataset.read(tiny_data)
    rows = Rows(table, manifest)
    config = build_optimizer_config(plan.num_train_steps, max_grad_norm=max_grad_norm, **optimizer)
    accumulated, at_once = [], []
    for result, of in ((accumulated, lambda u: u), (at_once, lambda u: merged(rows, u))):
        network.set_weights(initial)
        loss = TASK.training_loss(SINGLE_LABEL, loss_parameters, rows.labels, manifest.label_names)
        trainer = Trainer(network, plan.num_train_steps, loss)
        trainer.compile(optimizer=build_optimizer(config), loss=TASK.loss(SINGLE_LABEL))
        for update in training_dataset(rows, plan, SEED):
            trainer.train_step(of(update))
        result += [trainer.step_log.numpy(), network.get_weights()]

    ours, theirs = accumulated[0], at_once[0]
    np.testing.assert_array_equal(ours[:, LEARNING_RATE], learning_rates(config.schedule)[:-1])
    np.testing.assert_array_equal(ours[:, EXAMPLES], theirs[:, EXAMPLES])
    np.testing.assert_allclose(ours[:, LOSS], theirs[:, LOSS], rtol=1e-4)
    np.testing.assert_allclose(ours[:, GRADIENT_NORM], theirs[:, GRADIENT_NORM], rtol=1e-3)
    for one, other in zip(accumulated[1], at_once[1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(examples=st.integers(1, 103), batch_size=st.integers(1, 40), accumulation=st.integers(1, 5))
def test_no_update_holds_examples_of_two_epochs(
    tiny_data: Path, examples: int, batch_size: int, accumulation: int
) -> None:
    plan = count_steps(examples, batch_size, 2, None, accumulation)
    table = tokenized_dataset.open_split(tiny_data, "train").slice(0, examples)
    rows = Rows(table, tokenized_dataset.read(tiny_data))
    seen: list[int] = []
    for step, update in enumerate(training_dataset(rows, plan, SEED).as_numpy_iterator()):
        if step == plan.steps_per_epoch:
            assert sorted(seen) == list(range(examples))
            seen = []
        assert len(update["weights"]) <= accumulation
        seen += update["rows"][update["weights"] > 0].tolist()
    assert sorted(seen) == list(range(examples))


def test_clipping_is_of_the_accumulated_gradient(
    tiny_data: Path, network: Any, initial: list[np.ndarray]
) -> None:
    """Clipped batch by batch, the change would be shorter than the limit."""
    plan = count_steps(32, 8, 1, None, 4)
    table = tokenized_dataset.open_split(tiny_data, "train").slice(0, 32)
    manifest = tokenized_dataset.read(tiny_data)
    rows = Rows(table, manifest)
    config = build_optimizer_config(1, optimizer="sgd", learning_rate=1.0, max_grad_norm=0.01)
    network.set_weights(initial)
    trainer = Trainer(network, 1)
    trainer.compile(optimizer=build_optimizer(config), loss=TASK.loss(SINGLE_LABEL))
    (update,) = training_dataset(rows, plan, SEED)
    before = [v.numpy().astype(np.float64) for v in network.trainable_variables]
    trainer.train_step(update)
    after = [v.numpy().astype(np.float64) for v in network.trainable_variables]
    change = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(after, before, strict=True)))
    assert change == pytest.approx(0.01, rel=1e-3)
    assert trainer.step_log.numpy()[0, GRADIENT_NORM] > 0.01
