"""Every optimizer beside its formula, and the rate it says it applied beside the schedule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from kfp_finetune.components.artifacts.optimizer_config import OPTIMIZERS, SCHEDULES
from kfp_finetune.components.build_optimizer.optimizers import KerasSchedule, build_optimizer
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.build_optimizer.schedules import learning_rate_at, learning_rates

STEPS = 12
CASES: list[dict[str, Any]] = [
    {"optimizer": "adam"},
    {"optimizer": "adam", "adam_beta1": 0.8, "adam_beta2": 0.95, "adam_epsilon": 1e-3},
    {"optimizer": "adamw", "weight_decay": 0.3},
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "momentum": 0.9},
    {"optimizer": "lion"},
    {"optimizer": "lion", "weight_decay": 0.3},
    {"optimizer": "adam", "max_grad_norm": 0.5},
    {"optimizer": "adamw", "weight_decay": 0.3, "max_grad_norm": 0.5},
    {"optimizer": "sgd", "momentum": 0.9, "max_grad_norm": 0.5},
    {"optimizer": "lion", "max_grad_norm": 0.5},
]


def config_of(**parameters: Any) -> Any:
    shape = {"learning_rate": 0.05, "lr_scheduler_type": "cosine", "warmup_steps": 3}
    return build_optimizer_config(STEPS, **shape | parameters)


def gradients() -> Iterator[list[np.ndarray]]:
    """Of a matrix and a vector, for every update; one row of the matrix never has any."""
    random = np.random.default_rng(5)
    for _ in range(STEPS):
        matrix, vector = random.normal(size=(4, 3)), random.normal(size=3)
        matrix[1] = 0
        yield [matrix, vector]


def variables() -> list[tf.Variable]:
    random = np.random.default_rng(6)
    return [tf.Variable(random.normal(size=s), dtype=tf.float32) for s in ((4, 3), (3,))]


def expected(weights: list[np.ndarray], case: dict[str, Any]) -> list[np.ndarray]:
    """The published update, in float64."""
    config = config_of(**case)
    beta1, beta2 = config.adam_beta1, config.adam_beta2
    first, second = ([np.zeros_like(w) for w in weights] for _ in range(2))
    for step, pair in enumerate(gradients()):
        rate = learning_rate_at(config.schedule, step)
        norm = np.sqrt(sum((g**2).sum() for g in pair))
        clip = min(1.0, (config.max_grad_norm or np.inf) / norm)
        for i, gradient in enumerate(pair):
            g = gradient * clip
            if i == 0:  # the vector stands for biases and layer norms
                weights[i] = weights[i] * (1 - rate * config.weight_decay)
            if config.name == "sgd":  # Sutskever et al. 2013, as Keras has it
                first[i] = config.momentum * first[i] - rate * g
                weights[i] = weights[i] + first[i]
            elif config.name == "lion":  # 2302.06675, algorithm 2, with its betas
                weights[i] = weights[i] - rate * np.sign(0.9 * first[i] + 0.1 * g)
                first[i] = 0.99 * first[i] + 0.01 * g
            else:  # 1412.6980, section 2's last paragraph: epsilon beside the uncorrected root
                first[i] = beta1 * first[i] + (1 - beta1) * g
                second[i] = beta2 * second[i] + (1 - beta2) * g**2
                corrected = rate * np.sqrt(1 - beta2 ** (step + 1)) / (1 - beta1 ** (step + 1))
                weights[i] = weights[i] - corrected * first[i] / (
                    np.sqrt(second[i]) + config.adam_epsilon
                )
    return weights


# The norm of slices counts a row that comes twice as two: a trainer that clips has dense gradients.
@pytest.mark.parametrize(
    ("case", "sparse"),
    [
        (case, sparse)
        for case in CASES
        for sparse in (False, True)
        if not (sparse and "max_grad_norm" in case)
    ],
    ids=str,
)
def test_updates_are_those_of_the_formula(case: dict[str, Any], sparse: bool) -> None:
    """Also with an embedding's gradient as slices, one of whose rows comes twice."""
    ours = variables()
    before = [v.numpy().astype(np.float64) for v in ours]
    optimizer = build_optimizer(config_of(**case))

    @tf.function
    def update(matrix: Any, vector: Any) -> None:
        optimizer.apply_gradients(zip((matrix, vector), ours, strict=True))

    for matrix, vector in gradients():
        given: Any = tf.constant(matrix, tf.float32)
        if sparse:
            rows = tf.constant([3, 0, 2, 0])
            values = np.stack([matrix[3], matrix[0] * 0.25, matrix[2], matrix[0] * 0.75])
            given = tf.IndexedSlices(tf.constant(values, tf.float32), rows, tf.constant([4, 3]))
        update(given, tf.constant(vector, tf.float32))
    for variable, right in zip(ours, expected(before, case), strict=True):
        np.testing.assert_allclose(variable.numpy(), right, rtol=2e-5, atol=1e-6)


def of_keras(case: dict[str, Any]) -> Any:
    """The optimizer as Keras has it."""
    config = config_of(**case)
    adam = {
        "beta_1": config.adam_beta1,
        "beta_2": config.adam_beta2,
        "epsilon": config.adam_epsilon,
    }
    optimizers, decay = keras.optimizers, {"weight_decay": config.weight_decay or None}
    kind, arguments = {
        "adam": (optimizers.Adam, adam),
        "adamw": (optimizers.AdamW, adam | decay),
        "sgd": (optimizers.SGD, {"momentum": config.momentum}),
        "lion": (optimizers.Lion, decay),
    }[config.name]
    made = kind(KerasSchedule(config.schedule), global_clipnorm=config.max_grad_norm, **arguments)
    made.exclude_from_weight_decay(var_names=["spared"])
    return made


def state_after(optimizer: Any) -> list[np.ndarray]:
    """The weights and the optimizer's own variables after all updates."""
    matrix, vector = (v.numpy() for v in variables())
    weights = [keras.Variable(matrix, name="matrix"), keras.Variable(vector, name="spared")]
    update = tf.function(lambda *pair: optimizer.apply(pair, weights))
    for pair in gradients():
        update(*(tf.constant(g, tf.float32) for g in pair))
    return [variable.numpy() for variable in (*weights, *optimizer.variables)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_updates_are_those_of_keras(case: dict[str, Any]) -> None:
    """The kernel takes 1 - 0.999 in float32, where 0.999 is off by up to 3e-8, and so that by 3e-5.

    Its bias correction is computed from the same 0.999, so that most of it cancels.
    """
    ours, theirs = (state_after(o) for o in (build_optimizer(config_of(**case)), of_keras(case)))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=3e-5, atol=3e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_applied_rate_is_the_scheduled_one_at_every_update(
    optimizer: str, schedule: str
) -> None:
    boundaries = {"lr_boundaries": "0.5:1e-3,0.8:1e-4"} if schedule == "piecewise_constant" else {}
    config = config_of(optimizer=optimizer, lr_scheduler_type=schedule, **boundaries)
    built, ours = build_optimizer(config), variables()

    @tf.function
    def update(matrix: Any, vector: Any) -> Any:
        built.apply_gradients(zip((matrix, vector), ours, strict=True))
        return tf.identity(built.applied_learning_rate)

    applied = [update(*(tf.constant(g, tf.float32) for g in pair)).numpy() for pair in gradients()]
    assert applied == learning_rates(config.schedule)[:-1].tolist()
    assert int(built.iterations) == STEPS


@pytest.mark.parametrize("case", CASES[:7], ids=str)
def test_updates_go_on_from_a_checkpoint_as_if_there_had_been_no_break(
    case: dict[str, Any], tmp_path: Any
) -> None:
    def run(ours: list[tf.Variable], optimizer: Any, pairs: list[list[np.ndarray]]) -> None:
        for pair in pairs:
            given = [tf.constant(g, tf.float32) for g in pair]
            optimizer.apply_gradients(zip(given, ours, strict=True))

    pairs = list(gradients())
    whole, broken, resumed = variables(), variables(), variables()
    run(whole, build_optimizer(config_of(**case)), pairs)

    first = build_optimizer(config_of(**case))
    run(broken, first, pairs[:5])
    path = tf.train.Checkpoint(weights=broken, optimizer=first).write(str(tmp_path / "checkpoint"))

    second = build_optimizer(config_of(**case))
    second.build(resumed)
    restored = tf.train.Checkpoint(weights=resumed, optimizer=second).read(path)
    restored.assert_existing_objects_matched()
    assert int(second.iterations) == 5
    run(resumed, second, pairs[5:])
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
