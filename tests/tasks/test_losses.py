"""The losses of training equal their formulas."""

from __future__ import annotations

from typing import Any

import keras as keras_library
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.class_weights import check_names
from kfp_finetune.components.tasks.loss_parameters import LossParameters
from kfp_finetune.components.tasks.losses import balanced_class_weights
from kfp_finetune.components.tasks.registry import PROBLEM_TYPES, TASKS, get_task, task_of
from kfp_finetune.components.tasks.text_classification import losses as task
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)

NAMES = ["a", "b", "c", "d"]
# As a loss takes them: weights of the labels b and d.
NAMED = ["b=3,d=0.5", '{"b": 3, "d": 0.5}']
TRAINING = np.array([0, 0, 0, 0, 0, 1, 1, 3], np.int32)  # label 2 has no example
LABELS = np.array([0, 1, 3, 0, 0, 1], np.int32)
LOGITS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32) * 3
REAL = np.array([1, 1, 1, 1, 0, 0], np.float32)  # a batch is filled up with rows of weight 0

PLAIN = LossParameters()


def of(smoothing: float, class_weights: str = "none", gamma: float = 0.0) -> LossParameters:
    return LossParameters(
        label_smoothing_factor=smoothing, class_weights=class_weights, focal_gamma=gamma
    )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("problem_type", PROBLEM_TYPES)
def test_the_defaults_train_on_the_plain_loss(problem_type: str) -> None:
    assert task_of(problem_type).training_loss(problem_type, PLAIN, TRAINING, NAMES) is None


def test_the_plain_loss_is_sparse_categorical_cross_entropy_on_logits() -> None:
    plain = task.loss(SINGLE_LABEL)
    assert type(plain) is keras_library.losses.SparseCategoricalCrossentropy
    assert plain.get_config()["from_logits"] is True


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("class_weights", ["none", "balanced", *NAMED])
def test_single_label_loss_is_the_formula(smoothing: float, class_weights: str) -> None:
    if smoothing == 0 and class_weights == "none":
        loss = task.loss(SINGLE_LABEL)
    else:
        loss = task.training_loss(SINGLE_LABEL, of(smoothing, class_weights), TRAINING, NAMES)
    target = np.eye(4)[LABELS] * (1 - smoothing) + smoothing / 4
    values = -(target * log_softmax(LOGITS.astype(np.float64))).sum(axis=-1)
    if class_weights == "balanced":
        values *= np.array([8 / (3 * 5), 8 / (3 * 2), 0, 8 / (3 * 1)])[LABELS]
    elif class_weights != "none":
        values *= np.array([1, 3, 1, 0.5])[LABELS]
    expected = (values * REAL).sum() / len(REAL)  # by rows, not by the sum of their weights
    assert float(loss(LABELS, LOGITS, REAL)) == pytest.approx(expected, rel=1e-6)
    assert float(loss(LABELS, LOGITS)) == pytest.approx(values.mean(), rel=1e-6)


@pytest.mark.parametrize("class_weights", ["none", "balanced", *NAMED])
@pytest.mark.parametrize("smoothing", [0.1, 0.7])
def test_multi_label_loss_is_the_formula(smoothing: float, class_weights: str) -> None:
    targets = np.array([[1, 0, 0, 1], [1, 1, 0, 1]] + 4 * [[0, 1, 0, 1]], np.float32)
    loss = task.training_loss(MULTI_LABEL, of(smoothing, class_weights), targets, NAMES)
    smoothed = targets * (1 - smoothing) + smoothing / 2
    share = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    weights = np.array(
        {"none": [1, 1, 1, 1], "balanced": [4 / 2, 1 / 5, 1, 1]}.get(class_weights, [1, 3, 1, 0.5])
    )
    present = weights * smoothed * np.log(share)
    values = -(present + (1 - smoothed) * np.log(1 - share)).mean(axis=-1)
    assert float(loss(targets, LOGITS)) == pytest.approx(values.mean(), rel=1e-5)


def test_smoothing_is_that_of_keras() -> None:
    keras = keras_library.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    ours = task.training_loss(SINGLE_LABEL, of(0.2), TRAINING, NAMES)
    theirs = keras(tf.one_hot(LABELS, 4), LOGITS, REAL)
    assert float(ours(LABELS, LOGITS, REAL)) == pytest.approx(float(theirs), rel=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("class_weights", ["none", "b=3,d=0.5"])
def test_focal_loss_of_one_label_is_the_formula_and_that_of_keras(
    class_weights: str, gamma: float
) -> None:
    ours = task.training_loss(SINGLE_LABEL, of(0.0, class_weights, gamma), TRAINING, NAMES)
    values = -log_softmax(LOGITS.astype(np.float64))[np.arange(6), LABELS]
    values *= (1 - np.exp(-values)) ** gamma
    alpha = np.array([1, 1, 1, 1] if class_weights == "none" else [1, 3, 1, 0.5])
    expected = values * alpha[LABELS]
    np.testing.assert_allclose(ours.call(LABELS, LOGITS), expected, rtol=1e-5)
    keras = keras_library.losses.CategoricalFocalCrossentropy(alpha, gamma, from_logits=True)
    theirs = keras(tf.one_hot(LABELS, 4), LOGITS, REAL)
    assert float(ours(LABELS, LOGITS, REAL)) == pytest.approx(float(theirs), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("class_weights", ["none", "b=3,d=0.5"])
def test_focal_loss_of_several_labels_is_the_formula_and_that_of_keras(
    class_weights: str, gamma: float
) -> None:
    targets = np.random.default_rng(1).integers(0, 2, LOGITS.shape).astype(np.float32)
    ours = task.training_loss(MULTI_LABEL, of(0.0, class_weights, gamma), targets, NAMES)
    share = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    of_truth = np.where(targets == 1, share, 1 - share)
    values = -((1 - of_truth) ** gamma) * np.log(of_truth)
    if class_weights != "none":
        values *= np.where(targets == 1, [1, 3, 1, 0.5], 1)
    np.testing.assert_allclose(ours.call(targets, LOGITS), values.mean(axis=-1), rtol=1e-5)
    if class_weights == "none":
        keras = keras_library.losses.BinaryFocalCrossentropy(gamma=gamma, from_logits=True)
        theirs = float(keras(targets, LOGITS))
        assert float(ours(targets, LOGITS)) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("problem_type", [SINGLE_LABEL, MULTI_LABEL])
def test_focal_loss_of_certain_answers_is_finite(problem_type: str) -> None:
    """(1 - p)^gamma has an infinite slope at p = 1 if gamma is below 1."""
    logits = tf.constant([[1e4, 0, -1e4], [-1e4, 0, 1e4], [100, 0, 0]], tf.float32)
    labels = np.zeros(3, np.int32) if problem_type == SINGLE_LABEL else np.eye(3, dtype=np.float32)
    loss = task.training_loss(problem_type, of(0.0, "none", 0.5), labels, NAMES[:3])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        values = loss.call(labels, logits)
    assert np.isfinite(values).all()
    assert np.isfinite(tape.gradient(values, logits)).all()


@settings(deadline=None)  # the first call may import
@given(st.lists(st.sampled_from([0, 1, 2, 3, 7]), min_size=1, max_size=60))
def test_balanced_weights_are_those_of_scikit_learn(labels: list[int]) -> None:
    targets = np.array(labels, np.int32)
    weights = balanced_class_weights(targets)
    occurring = np.unique(targets)
    expected = compute_class_weight("balanced", classes=occurring, y=targets)
    np.testing.assert_allclose(weights[occurring], expected, rtol=1e-6)
    assert set(np.flatnonzero(weights)) == set(occurring)
    assert weights[targets].mean() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(
    ("smoothing", "class_weights", "gamma", "problem_type", "message"),
    [
        (
            1.0,
            "none",
            0.0,
            "auto",
            "label_smoothing_factor is 1\n"
            "  where:    label_smoothing_factor\n"
            "  expected: a share of at least 0 and below 1\n"
            "  remedy:   --label-smoothing-factor 0.1",
        ),
        (
            -0.1,
            "balance",
            -1.0,
            "auto",
            "label_smoothing_factor is -0.1\n"
            "  where:    label_smoothing_factor\n"
            "  expected: a share of at least 0 and below 1\n"
            "  remedy:   --label-smoothing-factor 0.1\n"
            "focal_gamma is -1\n"
            "  where:    focal_gamma\n"
            "  expected: a number from 0 to 10; 2 is usual\n"
            "  remedy:   --focal-gamma 2\n"
            "unknown class_weights 'balance'\n"
            "  where:    class_weights\n"
            "  expected: none, balanced, or weights by label name\n"
            "  remedy:   --class-weights balanced, or spam=5,ham=1, or as JSON: --class-weights"
            " '{\"spam\": 5}'",
        ),
        (
            0.1,
            "balanced",
            0.0,
            REGRESSION,
            "label_smoothing_factor is 0.1, but regression has no labels\n"
            "  where:    label_smoothing_factor\n"
            "  expected: single_label_classification or multi_label_classification\n"
            "  remedy:   omit --label-smoothing-factor\n"
            "class_weights is balanced, but regression has no labels\n"
            "  where:    class_weights\n"
            "  expected: single_label_classification or multi_label_classification\n"
            "  remedy:   omit --class-weights",
        ),
        (
            0.0,
            "a=2",
            2.0,
            REGRESSION,
            "class_weights is a=2, but regression has no labels\n"
            "  where:    class_weights\n"
            "  expected: single_label_classification or multi_label_classification\n"
            "  remedy:   omit --class-weights\n"
            "focal_gamma is 2, but regression has no labels\n"
            "  where:    focal_gamma\n"
            "  expected: single_label_classification or multi_label_classification\n"
            "  remedy:   omit --focal-gamma",
        ),
        (
            0.1,
            "none",
            2.0,
            SINGLE_LABEL,
            "focal_gamma is 2 and label_smoothing_factor is 0.1\n"
            "  where:    focal_gamma\n"
            "  expected: one of the two: the focal loss is defined for labels without smoothing\n"
            "  remedy:   omit --label-smoothing-factor, or omit --focal-gamma",
        ),
        (
            0.0,
            "a=2,b=-1",
            0.0,
            SINGLE_LABEL,
            "the weight of label 'b' is not a positive number\n"
            "  where:    class_weights: a=2,b=-1\n"
            "  expected: one positive number for every label that is named\n"
            "  remedy:   --class-weights spam=5,ham=1, or as JSON: --class-weights '{\"spam\": 5}'",
        ),
    ],
)
def test_parameters_without_a_meaning_are_refused(
    smoothing: float, class_weights: str, gamma: float, problem_type: str, message: str
) -> None:
    with pytest.raises(InputError) as error:
        get_task("text-classification").check_training_loss(
            of(smoothing, class_weights, gamma), problem_type
        )
    assert str(error.value) == message


def test_weights_of_names_that_are_no_labels_are_refused() -> None:
    check_names("ham=2,spam=5", ["ham", "spam"])
    check_names('{"a,b": 2}', ["a,b"])
    with pytest.raises(InputError) as error:
        check_names("ham=2,spma=5", ["ham", "spam"])
    assert "'spma'" in error.value.found
    assert error.value.remedy == "replace 'spma' with 'spam'"
    for twice in ("ham=1,ham=2", '{"ham": 1, "ham": 2}'):
        with pytest.raises(InputError, match="label 'ham' is given twice"):
            check_names(twice, ["ham"])


@pytest.mark.parametrize(
    ("parameters", "problem_type"),
    [
        ((0.0, "none"), REGRESSION),
        ((0.1, "balanced"), "auto"),
        ((0.1, "balanced"), SINGLE_LABEL),
        ((0.1, "none"), MULTI_LABEL),
        ((0.1, "a=2"), MULTI_LABEL),
        ((0.0, "balanced", 2.0), MULTI_LABEL),
    ],
)
def test_parameters_with_a_meaning_are_accepted(
    parameters: tuple[Any, ...], problem_type: str
) -> None:
    get_task("text-classification").check_training_loss(of(*parameters), problem_type)


@pytest.mark.parametrize("name", TASKS)
def test_declared_training_metrics_are_measured(name: str) -> None:
    for kind in get_task(name).problem_types:
        measured = get_task(name).training_metrics(kind.name, ["O", "B-a"])
        assert tuple(metric.name for metric in measured) == kind.training_metrics
        positive = get_task(name).training_metrics(kind.name, ["O", "B-a"], "B-a")
        assert tuple(metric.name for metric in positive) == kind.measured_in_training("B-a")


NUMBERS = np.array([[0.5], [2.0], [4.0], [4.5]], np.float32)
MARKS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]], np.float32)


@pytest.mark.parametrize(
    ("problem_type", "smoothing", "class_weights", "targets", "answer"),
    [
        (SINGLE_LABEL, 0.0, "none", TRAINING, np.log([5 / 8, 2 / 8, 1e-12, 1 / 8])),
        (SINGLE_LABEL, 0.0, "balanced", TRAINING, np.log([1, 1, 1e-12, 1])),
        (SINGLE_LABEL, 0.0, "b=3,d=0.5", TRAINING, np.log([5, 6, 1e-12, 0.5])),
        (SINGLE_LABEL, 0.2, "none", TRAINING, np.log(0.8 * np.array([5, 2, 0, 1]) / 8 + 0.05)),
        (SINGLE_LABEL, 0.2, "balanced", TRAINING, np.log(0.8 * np.array([1, 1, 0, 1]) / 3 + 0.05)),
        (MULTI_LABEL, 0.0, "none", MARKS, np.log([3, 1 / 3, 1e-12])),
        (MULTI_LABEL, 0.2, "none", MARKS, np.log([0.7 / 0.3, 0.3 / 0.7, 0.1 / 0.9])),
        (MULTI_LABEL, 0.0, "b=3", MARKS, np.log([3, 1, 1e-12])),
        (MULTI_LABEL, 0.0, "balanced", MARKS, np.log([1, 1, 1e-12])),
        (MULTI_LABEL, 0.2, "balanced", MARKS, np.log([0.7 / 0.9, 0.9 / 0.7, 0.1 / 0.9])),
        (REGRESSION, 0.0, "none", NUMBERS, [2.75]),
    ],
)
def test_no_constant_answer_has_a_lower_loss_than_the_constant_loss(
    problem_type: str, smoothing: float, class_weights: str, targets: np.ndarray, answer: Any
) -> None:
    names = NAMES[: len(answer)]
    parameters = of(smoothing, class_weights)
    loss = task.training_loss(problem_type, parameters, targets, names) or task.loss(problem_type)
    best = np.asarray(answer, np.float32)

    def loss_of(constant: np.ndarray) -> float:
        return float(loss(targets, np.tile(constant.astype(np.float32), (len(targets), 1))))

    found = task.constant_loss(problem_type, parameters, targets, names)
    assert found == pytest.approx(loss_of(best), rel=1e-5)
    for noise in np.random.default_rng(0).normal(size=(20, len(best))) / 3:
        assert loss_of(best + noise) >= found - 1e-6
    logits = task.constant_logits(problem_type, parameters, targets, names)
    assert logits.shape == best.shape
    # A label without an example counts as half of one: in so few rows a difference of up to 0.1.
    assert found - 1e-6 <= loss_of(logits) <= found + 0.1


@pytest.mark.parametrize(
    ("problem_type", "targets", "class_weights", "counts", "weights"),
    [
        (SINGLE_LABEL, TRAINING, "none", [5, 2, 0, 1], [1, 1, 1, 1]),
        (SINGLE_LABEL, TRAINING, "balanced", [5, 2, 0, 1], [8 / 15, 8 / 6, 0, 8 / 3]),
        (SINGLE_LABEL, TRAINING[:7], "balanced", [5, 2, 0, 0], [7 / 10, 7 / 4, 0, 0]),
        ("word_tagging", TRAINING, "b=3", [5, 2, 0, 1], [1, 3, 1, 1]),
        (MULTI_LABEL, MARKS, "none", [3, 1, 0], [1, 1, 1]),
        (MULTI_LABEL, MARKS, "balanced", [3, 1, 0], [1 / 3, 3, 1]),
    ],
)
def test_counts_and_weights_of_labels(
    problem_type: str,
    targets: np.ndarray,
    class_weights: str,
    counts: list[int],
    weights: list[float],
) -> None:
    names = NAMES[: len(counts)]
    found = task_of(problem_type).counts_and_weights(problem_type, class_weights, targets, names)
    assert found[0].tolist() == counts
    np.testing.assert_allclose(found[1], weights, rtol=1e-6)


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
@pytest.mark.parametrize(
    ("problem_type", "targets"), [(SINGLE_LABEL, TRAINING), (MULTI_LABEL, MARKS)]
)
def test_the_constant_loss_of_a_focal_loss_is_an_upper_bound(
    problem_type: str, class_weights: str, targets: np.ndarray
) -> None:
    """It is that of the label frequencies."""
    names = NAMES[: 4 if problem_type == SINGLE_LABEL else 3]
    parameters = of(0.0, class_weights, 2.0)
    loss = task.training_loss(problem_type, parameters, targets, names)
    found = task.constant_loss(problem_type, parameters, targets, names)
    answer = task.constant_logits(problem_type, parameters, targets, names)
    assert float(loss(targets, np.tile(answer, (len(targets), 1)))) == pytest.approx(found, abs=0.1)
    logits = tf.Variable(tf.zeros(len(names)))
    optimizer = keras_library.optimizers.Adam(0.1)
    for _ in range(200):
        with tf.GradientTape() as tape:
            value = loss(targets, tf.tile(logits[tf.newaxis], [len(targets), 1]))
        optimizer.apply([tape.gradient(value, logits)], [logits])
    assert float(value) <= found * 1.01  # the optimizer comes close, too
    assert found <= float(value) * 1.5


@pytest.mark.parametrize(
    ("problem_type", "targets", "logits"),
    [
        (SINGLE_LABEL, np.array([0], np.int32), np.log([2, 1]) - np.log(2) / 2),
        (MULTI_LABEL, np.zeros((1, 2), np.float32), [0, 0]),
        (MULTI_LABEL, np.zeros((5, 2), np.float32), np.log([1 / 9, 1 / 9])),
        (MULTI_LABEL, np.ones((5, 2), np.float32), np.log([9, 9])),
        (REGRESSION, np.array([[7]], np.float32), [7]),
        (REGRESSION, np.array([[3e38], [3e38]], np.float32), [3e38]),
    ],
)
@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_the_best_constant_answer_is_finite(
    problem_type: str, targets: np.ndarray, logits: Any, weights: str
) -> None:
    """With one row, with labels that no row or every row has, and with large numbers."""
    found = task.constant_logits(problem_type, of(0.0, weights), targets, NAMES[: len(logits)])
    np.testing.assert_allclose(found, logits, rtol=1e-5, atol=1e-6)


def test_the_constant_loss_of_tags_is_the_entropy_of_the_words() -> None:
    tags = get_task("token-classification")
    found = tags.constant_loss("word_tagging", PLAIN, np.array([0, 0, 0, 1], np.int32), "OB")
    assert found == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    logits = tags.constant_logits("word_tagging", PLAIN, np.array([0, 0, 0, 1], np.int32), "OB")
    np.testing.assert_allclose(logits, [np.log(3) / 2, -np.log(3) / 2], rtol=1e-6)
