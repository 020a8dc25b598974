"""Training on words: the loss is the mean over words, however they are batched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.build_optimizer.optimizers import build_optimizer
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.finetune import devices
from kfp_finetune.components.finetune.inputs import Rows, training_dataset, validation_dataset
from kfp_finetune.components.finetune.logits import predict
from kfp_finetune.components.finetune.trainer import EXAMPLES, LOSS, Trainer
from kfp_finetune.components.load_data.steps import count_steps
from kfp_finetune.components.models.loading import load_classifier
from kfp_finetune.components.tasks.token_classification.problem_types import ENTITIES
from kfp_finetune.components.tasks.token_classification.task import TASK
from tests import tiny
from tests.finetune.runs import without_dropout

SEED = 5


@pytest.fixture(scope="module")
def data(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences of which many are longer than an example."""
    folder = tmp_path_factory.mktemp("words")
    return tiny.tokenize(
        folder,
        dataset=str(tiny.write_conll(folder / "train.conll", tiny.sentences(60))),
        model=str(tiny_model),
        task="token-classification",
        max_length=12,
    )


@pytest.fixture
def network(tiny_model: Path, data: Path) -> Any:
    """A network without dropout."""
    devices.configure(0)
    names = tokenized_dataset.read(data).label_names
    made = load_classifier(
        tiny_model,
        num_labels=len(names),
        label_names=names,
        problem_type=ENTITIES,
        per_token=True,
        seed=7,
    )
    without_dropout(made)
    return made


def rows_of(data: Path, split: str, **how: Any) -> Rows:
    return Rows(tokenized_dataset.open_split(data, split), tokenized_dataset.read(data), **how)


def compiled(network: Any, steps: int) -> Trainer:
    trainer = Trainer(network, steps)
    config = build_optimizer_config(steps, optimizer="sgd", learning_rate=0.3)
    trainer.compile(
        optimizer=build_optimizer(config),
        loss=TASK.loss(ENTITIES),
        weighted_metrics=TASK.training_metrics(ENTITIES, network.label_names),
    )
    return trainer


@pytest.mark.parametrize("all_tokens", [False, True])
def test_accumulated_batches_make_the_update_of_one_big_batch(
    data: Path, network: Any, all_tokens: bool
) -> None:
    rows = rows_of(data, "train", label_all_tokens=all_tokens)
    plan = count_steps(len(rows.lengths), 5, 1, None, 3)
    initial = [weight.copy() for weight in network.get_weights()]
    results = []
    for merge in (False, True):
        network.set_weights(initial)
        trainer = compiled(network, plan.num_train_steps)
        for update in training_dataset(rows, plan, SEED):
            if merge:
                real = tf.reduce_max(update["weights"], -1) > 0
                chosen = update["rows"][real].numpy()
                width = int(rows.lengths[chosen].max())
                labels, weights = rows.batch_labels(chosen, width)
                features = rows.batch(chosen, width)
                update = {
                    "features": {n: tf.constant(v[np.newaxis]) for n, v in features.items()},
                    "labels": tf.constant(labels[np.newaxis]),
                    "weights": tf.constant(weights[np.newaxis]),
                    "rows": tf.constant(chosen[np.newaxis]),
                }
            trainer.train_step(update)
        results.append((trainer.step_log.numpy(), network.get_weights()))
    (log, weights), (log_at_once, weights_at_once) = results
    np.testing.assert_allclose(log, log_at_once, rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(weights, weights_at_once, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert log[:, EXAMPLES].sum() == len(rows.lengths)


def test_the_loss_is_the_mean_over_words(data: Path, network: Any) -> None:
    rows = rows_of(data, "train")
    plan = count_steps(len(rows.lengths), len(rows.lengths), 1)
    logits = predict(network, rows, lambda done: None, 7).astype(np.float64)
    assert (
        len(logits)
        == len(rows.labels)
        == sum(len(w) for w, _ in tiny.sentences(60))
        - sum(len(part) for name in ("validation", "test") for part in words_of(data, name))
    )
    expected = -log_softmax(logits, axis=1)[np.arange(len(logits)), rows.labels].mean()
    trainer = compiled(network, plan.num_train_steps)
    trainer.train_step(next(iter(training_dataset(rows, plan, SEED))))
    assert float(trainer.step_log[0, LOSS]) == pytest.approx(expected, rel=1e-4)


def test_evaluations_measure_every_word_once(data: Path, network: Any) -> None:
    rows = rows_of(data, "validation")
    logits = predict(network, rows, lambda done: None, 4).astype(np.float64)
    dataset, steps = validation_dataset(rows, 3)
    found = compiled(network, 1).evaluate(dataset, steps=steps, verbose=0, return_dict=True)
    loss = -log_softmax(logits, axis=1)[np.arange(len(logits)), rows.labels].mean()
    assert found["loss"] == pytest.approx(loss, rel=1e-4)
    assert found["accuracy"] == pytest.approx((logits.argmax(axis=1) == rows.labels).mean())
    assert 0 <= found["f1"] <= 1


def words_of(data: Path, split: str) -> list[list[str]]:
    return list(tokenized_dataset.open_split(data, split)["text"].to_pylist())
