"""What chance, a small split or another loss looks like is not taken for a fault of a training.

The trainings are drawn at random around a known truth; nearly all verdicts on them must be true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.judgement.judge import judge
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.token_classification.problem_types import ENTITIES, TAGS
from tests.judgement.trainings import CHANCE, FALLING, FLAT, STEPS, X, facts, scored

RNG = np.random.Generator
VARIANCE = 2.2


def kinds(make: Callable[[RNG], Facts], times: int = 60) -> Counter[str]:
    """The kinds of verdicts on trainings with these seeds."""
    return Counter(judge(make(np.random.default_rng(seed))).kind for seed in range(times))


def with_losses(losses: np.ndarray, **changes: Any) -> Facts:
    """A training of exactly these losses, without evaluations."""
    made = facts(np.ones(len(losses)), [], **changes)
    for record, loss in zip(made.records, losses, strict=True):
        record["loss"] = float(loss)  # type: ignore[index]
    return made


def squared_errors(rng: RNG, steps: int, batch: int) -> np.ndarray:
    """Losses of batches of a model that always answers with the mean of normal numbers."""
    return VARIANCE * rng.chisquare(batch, steps) / batch


@pytest.mark.parametrize("steps", [3, 5, 10, 20, 25, 50, 100])
def test_losses_of_small_batches_that_vary_are_no_divergence(steps: int) -> None:
    """A batch of 8 numbers has a loss 1.5 times as high as the next one by chance."""
    metrics = scored(REGRESSION, learned=False)

    def make(rng: RNG) -> Facts:
        losses = squared_errors(rng, steps, 8)
        return with_losses(losses, kind=REGRESSION, metrics=metrics, constant_loss=VARIANCE)

    assert kinds(make)["nothing learned"] >= 57


@pytest.mark.parametrize("steps", [5, 25, 100])
def test_a_real_divergence_is_found_in_losses_that_vary(steps: int) -> None:
    growth = np.where(np.arange(steps) < steps / 2, 1.0, 30.0)

    def make(rng: RNG) -> Facts:
        losses = growth * squared_errors(rng, steps, 8)
        return with_losses(losses, kind=REGRESSION, constant_loss=VARIANCE)

    assert kinds(make)["diverged"] >= 57


def test_a_model_destroyed_in_its_second_step_has_diverged() -> None:
    """The mean of the first losses is as high as that of the last ones."""
    losses = np.concatenate([[1.1], 150 + 50 * np.cos(np.arange(159))])
    found = judge(with_losses(losses, rate=10.0, metrics=scored(learned=False)))
    assert found.kind == "diverged" and "began at 1.1" in found.finding


NOISE = [(20, 0.08), (118, 0.03), (300, 0.02), (1000, 0.01)]


def level_at(checks: int) -> np.ndarray:
    return CHANCE * (0.6 + 0.4 * np.exp(-8 * np.arange(1, checks + 1) / checks))


def validated(rng: RNG, levels: np.ndarray, end: float, rows: int, noise: float) -> Facts:
    """A training with the noise of a validation split of that many rows."""
    losses = levels * (1 + noise * rng.standard_normal(len(levels)))
    values = 0.55 + noise / 3 * rng.standard_normal(len(levels))
    return facts(
        CHANCE * (end + (1 - end) * np.exp(-8 * X)),
        list(losses),
        values=list(values),
        metrics=scored(accuracy=0.55, loss=2.6),
        epochs=len(levels),
        num_validation_examples=rows,
        constant_loss=CHANCE,
    )


@pytest.mark.parametrize(("rows", "noise"), NOISE)
@pytest.mark.parametrize("checks", [10, 20, 100])
def test_a_level_validation_loss_that_varies_is_healthy(
    rows: int, noise: float, checks: int
) -> None:
    found = kinds(lambda rng: validated(rng, level_at(checks), 0.55, rows, noise))
    assert found["healthy"] >= 55, found


@pytest.mark.parametrize(("rows", "noise"), NOISE[1:])
@pytest.mark.parametrize("checks", [3, 10, 20])
def test_falls_and_rises_are_found_in_a_validation_loss_that_varies(
    rows: int, noise: float, checks: int
) -> None:
    travelled = 1 - (1 - np.arange(1, checks + 1) / checks) ** 2
    falls = CHANCE * (1 - 0.4 * travelled)
    found = kinds(lambda rng: validated(rng, falls, 0.6, rows, noise / 2), 30)
    assert found["undertrained"] >= 29, found
    rises = CHANCE * np.where(travelled < 0.6, 1 - travelled, 0.4 + 0.5 * (travelled - 0.6))
    found = kinds(lambda rng: validated(rng, rises, 0.05, rows, noise / 2), 30)
    assert found["overfitted"] >= 28, found


@pytest.mark.parametrize("losses", [[0.4, 0.0, 1e-9], [0.05, 1e-3, 2e-3], [0.0, 0.0, 0.0]])
def test_a_loss_near_0_that_rises_is_no_overfitting(losses: list[float]) -> None:
    made = facts(FALLING, losses, values=[1.0] * 3, metrics=scored(accuracy=1.0, loss=0.0))
    assert judge(made).kind == "healthy"


def test_balanced_weights_that_raise_the_plain_loss_are_no_overfitting() -> None:
    """The lowest validation loss is that of a model that does not know the rare label."""
    made = facts(FALLING, [0.1, 0.2, 0.25], class_weights="balanced", constant_loss=CHANCE)
    for record, f1 in zip(
        (r for r in made.records if "validation" in r), (0.5, 0.7, 0.75), strict=True
    ):
        record["validation"] |= {"accuracy": 0.95, "macro_f1": f1}  # type: ignore[index]
    found = judge(made)
    assert found.kind == "healthy" and "macro-F1 improved" in found.finding
    for record in made.records:
        if "validation" in record:
            record["validation"]["macro_f1"] = 0.5
    found = judge(Facts(made.metrics, made.model, made.records))
    assert found.kind == "overfitted"
    assert found.options["metric_for_best_model"] == "macro_f1"


@pytest.mark.parametrize(("noise", "kind"), [(0.05, "healthy"), (0.15, "overfitted")])
def test_each_metric_has_its_own_noise(noise: float, kind: str) -> None:
    """Macro-F1, to which rare labels count as much as others, varies more than accuracy."""
    metrics = scored()
    metrics.intervals["macro_f1"] = (0.9 - noise, 0.9 + noise)
    made = facts(FALLING, [0.1, 0.2, 0.25], metrics=metrics, class_weights="balanced",
                 num_validation_examples=1000, constant_loss=CHANCE)  # fmt: skip
    checks = [record["validation"] for record in made.records if "validation" in record]
    for check, f1 in zip(checks, (0.5, 0.54, 0.55), strict=True):
        check |= {"accuracy": 0.9, "macro_f1": f1}
    assert judge(made).kind == kind


def test_the_metric_that_improved_under_weights_has_its_own_name() -> None:
    made = facts(FALLING, [0.1, 0.2, 0.25], kind=ENTITIES, class_weights="balanced")
    checks = [record["validation"] for record in made.records if "validation" in record]
    for check, accuracy in zip(checks, (0.6, 0.8, 0.9), strict=True):
        check |= {"f1": 0.5, "accuracy": accuracy, "macro_f1": 0.5}
    found = judge(made)
    assert found.kind == "healthy" and "accuracy of words improved" in found.finding


def test_weights_with_the_lowest_loss_are_not_advised_where_a_later_score_was_better() -> None:
    """Early stopping by the loss would end while the accuracy still rises."""
    made = facts(FALLING, [0.7, 0.8, 0.95], values=[0.695, 0.72, 0.715],
                 num_validation_examples=118, constant_loss=CHANCE)  # fmt: skip
    found = judge(made)
    assert found.kind == "overfitted" and "may be chance" in found.finding
    assert found.options["metric_for_best_model"] == "accuracy"
    worse = facts(FALLING, [0.7, 0.8, 0.95], values=[0.695, 0.72, 0.69])
    assert "metric_for_best_model" not in judge(worse).options


def test_early_stopping_is_not_advised_where_it_would_have_missed_the_best_evaluation() -> None:
    """An accuracy may stay at that of a constant answer for the first epochs."""
    losses = [0.99, 0.9, 0.82, 0.75, 0.69, 0.76, 0.84, 0.92, 1.0, 1.08]
    made = facts(FALLING, losses, values=[*[0.542] * 4, 0.695, *[0.72] * 5],
                 num_validation_examples=118, constant_loss=1.0, epochs=10)  # fmt: skip
    found = judge(made)
    assert found.kind == "overfitted"
    assert found.options == {"load_best_model_at_end": True, "metric_for_best_model": "accuracy"}


@pytest.mark.parametrize("smoothing", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("kind", [SINGLE_LABEL, MULTI_LABEL])
def test_the_loss_of_smoothed_labels_is_no_rate_that_is_too_high(
    kind: str, smoothing: float
) -> None:
    """With two labels, label smoothing of 0.3 adds 61 % of a constant answer's loss."""
    own = 1 - smoothing / 2
    floor = -own * np.log(own) - (1 - own) * np.log(1 - own)
    losses = floor + (np.log(2) - floor) * np.exp(-6 * X) + 0.001
    made = facts(
        losses,
        [],
        kind=kind,
        rate=6e-4,
        label_smoothing_factor=smoothing,
        constant_loss=float(np.log(2)),
    )
    made = Facts(made.metrics, made.model.model_copy(update={"label_names": ["a", "b"]}),
                 made.records)  # fmt: skip
    assert judge(made).kind == "healthy"


def test_a_model_that_knew_it_before_was_not_trained_too_fast() -> None:
    made = facts(np.full(STEPS, 0.05), [0.05] * 3, rate=6e-4, constant_loss=CHANCE)
    assert judge(made).kind == "healthy"


def split(metrics: Metrics, examples: int, **scores: float) -> Metrics:
    """The scores of another split."""
    return metrics.model_copy(
        update={
            "num_examples": examples,
            "metrics": metrics.metrics | scores,
            "baseline": metrics.baseline | {n: v for n, v in scores.items() if n != "r2"},
        }
    )


@pytest.mark.parametrize("kind", [SINGLE_LABEL, TAGS, ENTITIES, MULTI_LABEL, REGRESSION])
def test_a_split_on_which_a_constant_answer_is_always_right_says_nothing(kind: str) -> None:
    """A perfect model is no better there."""
    metrics = split(scored(kind, learned=False), 1000, loss=0.0)
    metrics.intervals = {}
    if kind in (SINGLE_LABEL, TAGS, ENTITIES):
        metrics.metrics["accuracy"] = metrics.baseline["accuracy"] = 1.0
    metrics.metrics.pop("r2", None)  # undefined
    for data in (False, True):
        made = facts(FALLING, [0.6, 0.3, 0.3], kind=kind, metrics=metrics, constant_loss=CHANCE)
        found = judge(Facts(made.metrics, made.model, made.records, on_other_data=data))
        assert found.kind == "unknown" and not found.options, found
        assert "constant answer is right for every example" in found.finding


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_unit_of_numbers_does_not_matter(scale: float) -> None:
    """The training rows were learned by heart, and numbers differ, however small they are."""
    constant = VARIANCE * scale**2
    metrics = split(scored(REGRESSION, learned=False), 1000, loss=constant)
    falls = constant / CHANCE * FALLING
    made = facts(falls, [], kind=REGRESSION, metrics=metrics, constant_loss=constant)
    assert judge(made).kind == "nothing learned"


@pytest.mark.parametrize(("examples", "kind"), [(19, "unknown"), (20, "nothing learned")])
def test_an_error_without_a_correlation_is_conclusive_on_enough_examples(
    examples: int, kind: str
) -> None:
    metrics = split(scored(REGRESSION, learned=False), examples, r2=-0.5)
    metrics.intervals = {"mae": (1.1, 1.3)}
    assert judge(facts(FALLING, [], kind=REGRESSION, metrics=metrics)).kind == kind


def test_five_test_examples_say_nothing_but_the_validation_split_may() -> None:
    metrics = split(scored(learned=False, matthews_correlation=0.4), 5)
    metrics.intervals = {"accuracy": (0.0, 0.2), "matthews_correlation": (-0.5, 1.0)}
    good = {"metrics": metrics, "constant_loss": CHANCE, "num_validation_examples": 300}
    found = judge(facts(FALLING, [0.6, 0.3, 0.3], **good))
    assert found.kind == "unknown" and "5 test examples" in found.finding
    assert judge(facts(0.6 * FLAT, [CHANCE] * 3, **good)).kind == "nothing learned"
    assert judge(facts(SLOW_, [3.6, 2.9, 2.2], **good)).kind == "undertrained"


SLOW_ = CHANCE * (1 - 0.5 * X)


@pytest.mark.parametrize("examples", [30, 100, 1000])
def test_a_constant_answer_to_99_of_1_is_no_learning(examples: int) -> None:
    metrics = split(
        scored(learned=False, matthews_correlation=0.0), examples, accuracy=0.99, loss=0.056
    )
    spread = 1.96 * (0.99 * 0.01 / examples) ** 0.5
    metrics.intervals = {
        "accuracy": (0.99 - spread, min(1.0, 0.99 + spread)),
        "matthews_correlation": (0.0, 0.0),
    }
    made = facts(np.full(STEPS, 0.056), [0.056] * 3, metrics=metrics, constant_loss=0.056)
    assert judge(made).kind == "nothing learned"


def test_entities_found_by_chance_are_no_learning() -> None:
    """A new head that takes most words for an entity has an F1 above 0."""
    metrics = scored(ENTITIES, f1=0.03, precision=0.016, recall=0.3, accuracy=0.2, loss=2.5)
    untrained = facts(np.full(STEPS, 2.5), [2.5] * 3, kind=ENTITIES, metrics=metrics, rate=1e-8)
    found = judge(untrained)
    assert found.kind == "nothing learned" and found.options["learning_rate"] == 2e-4


def test_a_score_of_chance_does_not_hide_losses_that_never_fell() -> None:
    """Two labels are ranked well by one of forty new heads."""
    metrics = scored(MULTI_LABEL, micro_f1=0.2, roc_auc=0.68, loss=0.7)
    made = facts(
        np.full(STEPS, 0.69), [0.69] * 3, kind=MULTI_LABEL, metrics=metrics, constant_loss=0.19
    )
    found = judge(made)
    assert found.kind == "nothing learned" and "0.190" in found.finding


def test_a_validation_loss_that_is_not_finite_at_the_end_is_a_divergence() -> None:
    made = facts(FALLING, [0.6, 0.3, float("nan")])
    found = judge(made)
    assert found.kind == "diverged" and "validation loss" in found.finding
    kept = facts(FALLING, [0.6, 0.3, float("nan")], best_step=200)
    assert judge(kept).kind == "healthy"


def test_one_evaluation_shows_no_fall_of_the_validation_loss() -> None:
    found = judge(facts(SLOW_, [2.2], epochs=1))
    assert found.kind == "undertrained" and "training loss" in found.finding


@given(
    kind=st.sampled_from([SINGLE_LABEL, MULTI_LABEL, REGRESSION, ENTITIES, TAGS]),
    losses=st.lists(st.floats(0, 1e6), max_size=60),
    validation=st.lists(st.floats(0, 1e6) | st.just(float("nan")), max_size=6),
    learned=st.booleans(),
    changes=st.fixed_dictionaries(
        {},
        optional={
            "class_weights": st.just("balanced"),
            "focal_gamma": st.just(2.0),
            "constant_loss": st.floats(0, 5),
            "num_validation_examples": st.integers(0, 1000),
            "diverged_at": st.just(3),
            "best_step": st.integers(1, 60),
        },
    ),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_training_gets_a_verdict_of_whole_sentences(
    kind: str, losses: list[float], validation: list[float], learned: bool, changes: dict[str, Any]
) -> None:
    validation = validation[: len(losses)]
    made = facts(
        np.array(losses),
        validation,
        kind=kind,
        metrics=scored(kind, learned=learned),
        epochs=max(1, len(validation)),
        **changes,
    )
    found = judge(made)
    assert found.finding[0].isupper() and found.finding.endswith(".")
    assert "nan" not in found.finding and "inf" not in found.finding.replace("finite", "")
    assert found.is_fine == (not found.advice) and (found.advice or not found.options)
    assert found.kind != "healthy" or learned
