"""Verdicts on unmistakable trainings, and what holds for all advice."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from kfp_finetune.components.artifacts.optimizer_config import OPTIMIZERS, USUAL_RATES
from kfp_finetune.components.artifacts.verdict import Tried, Verdict
from kfp_finetune.components.build_optimizer.parameters import (
    DEFAULTS,
    build_optimizer_config,
)
from kfp_finetune.components.chosen import choose_learning_rate
from kfp_finetune.components.judgement.advice import after_divergence
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.judgement.judge import judge
from kfp_finetune.components.repeating import as_options
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.token_classification.problem_types import ENTITIES, TAGS
from tests.judgement.trainings import (
    CHANCE,
    EPOCHS,
    FALLING,
    FLAT,
    JUMPED,
    MINILM,
    SLOW,
    STEPS,
    X,
    facts,
    scored,
)

HEALTHY, NOTHING = "healthy", "nothing learned"


@pytest.mark.parametrize(
    ("made", "kind", "options"),
    [
        pytest.param(facts(FALLING, [0.6, 0.3, 0.3]), HEALTHY, "", id="levels out"),
        pytest.param(facts(FALLING, []), HEALTHY, "", id="no validation rows"),
        pytest.param(
            facts(SLOW, [3.6, 2.9, 2.2]), "undertrained", "--num-train-epochs 10", id="falling"
        ),
        pytest.param(
            # The shape of BANKING77's curve with MiniLM and 5e-5 → 0 over 3 epochs, 64 % right.
            facts(CHANCE - 1.9 * (1 - (1 - X) ** 2), [3.55, 2.75, 2.58], rate=5e-5),
            "undertrained", "--learning-rate 0.0002 --num-train-epochs 10",
            id="levelled out by the rate alone",
        ),
        pytest.param(
            facts(SLOW, [3.6, 2.9, 2.2], rate=1e-6), "too low", "--learning-rate 0.0002", id="slow"
        ),
        pytest.param(facts(SLOW, []), "undertrained", "--num-train-epochs 10", id="no checks"),
        pytest.param(
            facts(FALLING, [0.9, 1.2, 1.6], values=[0.8, 0.8, 0.8]), "overfitted",
            "--load-best-model-at-end --early-stopping-patience 3", id="validation rises",
        ),
        pytest.param(
            facts(FALLING, [0.9, 1.2, 1.6], values=[0.8, 0.85, 0.9]), HEALTHY, "",
            id="more confident, and more often right",
        ),
        pytest.param(
            facts(FALLING, [0.9] + [1.6] * 29, values=[0.8] * 30, epochs=30), "overfitted",
            "--num-train-epochs 3 --load-best-model-at-end", id="far too many epochs",
        ),
        pytest.param(
            facts(FALLING, [0.9, 1.2, 1.6], best_step=100), HEALTHY, "", id="kept the best"
        ),
        pytest.param(
            facts(JUMPED, [3.0, 4.3, 4.3]), "diverged",
            "--learning-rate 5e-05 --warmup-ratio 0.1 --max-grad-norm 1.0", id="jumps to chance",
        ),
        pytest.param(
            facts(np.where(X < 0.1, CHANCE, 4281.0), [4281.0] * 3, rate=10.0,
                  metrics=scored(learned=False)),
            "diverged", "--learning-rate 0.0002 --warmup-ratio 0.1 --max-grad-norm 1.0",
            id="ends in the thousands",
        ),
        pytest.param(
            facts(np.where(X < 0.9, FALLING, np.nan), [0.6, 0.3]), "diverged", "--learning-rate",
            id="is no number",
        ),
        pytest.param(
            facts(FLAT * 0.8, [3.4] * 3, rate=1e-2), "too high", "--learning-rate 0.0002",
            id="only a little",
        ),
        pytest.param(
            facts(FLAT * 0.5, [0.3] * 3, rate=1e-2), HEALTHY, "", id="dropout costs, not the rate",
        ),
        pytest.param(
            facts(1.9 + 2.4 * np.exp(-12 * X), [2.0, 1.9, 1.9]), HEALTHY, "", id="a hard task",
        ),
        pytest.param(facts(np.full(STEPS, 0.05), [0.05] * 3), HEALTHY, "", id="knew it before"),
        pytest.param(facts(FALLING[:10], []), "unknown", "", id="ten steps"),
        pytest.param(facts(np.zeros(0), []), "unknown", "", id="no steps"),
    ],
)  # fmt: skip
def test_kinds(made: Facts, kind: str, options: str) -> None:
    found = judge(made)
    assert found.kind == kind, found
    advised = " ".join(as_options(found.options))
    assert options in advised and bool(options) == bool(advised), found
    assert found.finding.endswith(".") and found.is_fine == (not found.advice)
    assert judge(made) == found


def test_a_first_batch_without_the_rare_label_is_no_divergence() -> None:
    # Twelve steps with balanced weights: batches that have an example of the rare label cost more.
    losses = np.array([0.17, 0.35, 0.16, 0.25, 0.16, 0.31, 0.23, 0.20, 0.18, 0.18, 0.32, 0.30])
    settings = {"kind": MULTI_LABEL, "constant_loss": 0.22, "class_weights": "balanced"}
    assert judge(facts(losses, [], **settings)).kind == "unknown"
    assert (
        judge(facts(losses, [], metrics=scored(MULTI_LABEL, learned=False), **settings)).kind
        == NOTHING
    )
    grown = np.concatenate([losses[:10], [0.5, 0.6]])
    assert judge(facts(grown, [], **settings)).kind == "diverged"


@pytest.mark.parametrize("kind", [SINGLE_LABEL, MULTI_LABEL, REGRESSION, ENTITIES, TAGS])
def test_a_score_like_a_constant_answers_is_no_learning_whatever_the_loss_does(kind: str) -> None:
    metrics = scored(kind, learned=False)
    constant = metrics.baseline["loss"]
    falls = 0.695 * np.exp(-5 * X) + 0.19
    found = judge(facts(falls, [0.3, 0.2, 0.19], kind=kind, metrics=metrics))
    assert found.kind == NOTHING and found.is_lost
    flat = np.full(STEPS, constant)
    assert judge(facts(flat, [constant] * 3, kind=kind, metrics=metrics)).kind == NOTHING
    low = judge(facts(flat, [constant] * 3, kind=kind, metrics=metrics, rate=1e-8))
    longer = {} if kind == REGRESSION else {"num_train_epochs": 10}  # 77 labels
    assert low.options == {"learning_rate": 2e-4} | longer
    high = judge(facts(flat, [constant] * 3, kind=kind, metrics=metrics, rate=1e-2))
    assert high.options["learning_rate"] == 2e-4
    assert judge(facts(falls, [0.3, 0.2, 0.2], kind=kind)).kind != NOTHING


@pytest.mark.parametrize(
    ("kind", "scores"),
    [
        # Trained with a rate of 1: every label is absent, and the loss is low.
        (MULTI_LABEL, {"roc_auc": 0.505, "loss": 0.188, "micro_f1": 0.24}),
        (REGRESSION, {"r2": 0.06, "prediction_spread": 0.01}),
        (REGRESSION, {"r2": -3.0, "prediction_spread": 1.0}),
        (SINGLE_LABEL, {"accuracy": 0.03, "loss": 5.0, "matthews_correlation": 0.01}),
    ],
)
def test_scores_of_chance(kind: str, scores: dict[str, float]) -> None:
    assert judge(facts(FALLING, [], kind=kind, metrics=scored(kind, **scores))).kind == NOTHING


def test_weighted_classes_are_learned_though_the_most_frequent_label_is_more_often_right() -> None:
    metrics = scored(accuracy=0.7, loss=0.9, matthews_correlation=0.4)
    metrics.baseline = {"accuracy": 0.8, "loss": 0.5}
    made = facts(np.exp(-9 * X), [], metrics=metrics, class_weights="balanced")
    assert judge(made).kind == HEALTHY


def test_scores_on_other_data_advise_no_other_training() -> None:
    made = facts(SLOW, [3.6, 2.9, 2.2], metrics=scored(learned=False))
    other = Facts(made.metrics, made.model, made.records, on_other_data=True)
    found = judge(other)
    assert (found.kind, found.options) == (NOTHING, {}) and "On this data" in found.finding


def test_still_rising_entities_are_undertrained() -> None:
    """Most words are outside of entities: the loss is low long before they are found."""
    made = facts(np.full(STEPS, 0.1), [0.12, 0.11, 0.11], kind=ENTITIES)
    for check, f1 in zip(
        (r for r in made.records if "validation" in r), (0.1, 0.3, 0.4), strict=True
    ):
        check["validation"]["f1"] = f1  # type: ignore[index]
    found = judge(made)
    assert found.kind == "undertrained" and "F1" in found.finding


@pytest.mark.parametrize(
    ("fell", "validation", "epochs"),
    [(0.1, [4.2, 4.05, 3.9], 40), (0.2, [4.1, 3.8, 3.47], 30), (0.6, [3.4, 2.5, 1.74], 20)],
)
def test_the_slower_a_loss_falls_the_longer_the_next_training(
    fell: float, validation: list[float], epochs: int
) -> None:
    """From the usual 10 epochs, two to four times as long."""
    made = facts(CHANCE * (1 - fell * X), validation, epochs=10)
    assert judge(made).options == {"num_train_epochs": epochs}


def test_a_training_loss_without_room_limits_the_length() -> None:
    """The validation loss, which would fall for long, does not follow it."""
    made = facts(CHANCE * (1 - 0.8 * X), [4.2, 4.05, 3.9], epochs=10)
    assert judge(made).options == {"num_train_epochs": 20}


def test_a_length_in_steps_is_advised_in_steps() -> None:
    made = facts(SLOW, [3.6, 2.9, 2.2], parameters={"max_steps": STEPS})
    steps_of_usual_epochs = 10 * STEPS // EPOCHS
    assert judge(made).options == {"max_steps": steps_of_usual_epochs}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_default_rates_are_within_the_bounds(optimizer: str) -> None:
    bounds = USUAL_RATES[optimizer]
    rates = [choose_learning_rate(width, optimizer) for width in (64, 384, 768, 1024, 0)]
    assert all(bounds.lowest < rate < bounds.highest for rate in rates)
    if optimizer in ("adam", "adamw"):
        assert (bounds.lowest, bounds.highest) == (1e-6, 1e-2)


def test_momentum_counts_as_a_higher_rate() -> None:
    """The usual rates of gradient descent are 0.4, and 0.04 with a momentum of 0.9."""

    def kind(rate: float, momentum: float) -> str:
        how = {"optimizer": "sgd", "rate": rate, "settings": {"momentum": momentum}}
        found = judge(facts(FLAT * 0.8, [3.4] * 3, **how))
        assert found.options.get("learning_rate", 0.04) == 0.04
        return found.kind

    assert kind(0.9, 0.0) == kind(0.09, 0.9) == HEALTHY
    assert kind(0.11, 0.9) == kind(0.9, 0.9) == "too high"


def rises(times: float, made: int = STEPS) -> Facts:
    """A poor training whose rate rises from the usual one to that many times as high."""
    settings = {"lr_scheduler_type": "exponential", "decay_rate": times}
    found = facts(FLAT * 0.8, [3.4] * 3, settings=settings)
    model = found.model.model_copy(update={"updates_done": made})
    return Facts(found.metrics, model, found.records)


def test_a_rate_that_rises_is_judged_by_the_highest_one_that_it_reached() -> None:
    assert judge(rises(2.4)).kind == HEALTHY
    found = judge(rises(2.7))
    assert found.kind == "too high" and "it reached 0.000538" in found.finding
    assert found.options["learning_rate"] == 7e-5  # 2.7 times that is usual
    assert judge(rises(100, made=STEPS // 6)).kind == HEALTHY
    far = judge(rises(100, made=STEPS // 2))  # the next run may make all of its steps
    assert far.kind == "too high" and far.options["learning_rate"] == 2e-6


def test_after_a_divergence_the_rate_rises_to_the_usual_one() -> None:
    rising = {"lr_scheduler_type": "exponential", "decay_rate": 50.0, "max_grad_norm": 1.0}
    config = build_optimizer_config(STEPS, learning_rate=1e-3, **rising)
    assert after_divergence(config, MINILM) == {"learning_rate": 4e-6, "warmup_ratio": 0.1}


MADE = {
    "flat": facts(FLAT, [CHANCE] * 3, metrics=scored(learned=False)),
    "jumped": facts(JUMPED, [3.0, 4.3, 4.3], metrics=scored(learned=False)),
    "poor": facts(FLAT * 0.8, [3.4] * 3),
    "slow": facts(SLOW, [3.6, 2.9, 2.2]),
    "rises": facts(FALLING, [0.9, 1.2, 1.6], values=[0.5] * 3),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_advice_stays_in_bounds_and_never_leads_back(optimizer: str) -> None:
    """Whatever runs in a row look like, each one started by the advice of the one before."""
    bounds = USUAL_RATES[optimizer]
    rates = (1e-8, 1e-6, 5e-5, 2e-4, 1e-3, 10.0)
    for rate, epochs, *curves in itertools.product(rates, (1, 50), *[MADE] * 3):
        settings: dict[str, Any] = {"learning_rate": rate, "num_train_epochs": epochs}
        tried: tuple[Tried, ...] = ()
        seen: list[tuple[dict[str, Any], Verdict]] = []
        for name in curves:
            found = judge(of_settings(settings, name, optimizer, tried))
            seen.append((settings, found))
            if not found.options:
                break
            advised = found.options.get("learning_rate")
            assert advised is None or bounds.lowest <= advised <= bounds.highest, seen
            tried, settings = tuple(found.as_tried()), settings | found.options
            assert settings != seen[-1][0], seen
        for parameter in ("learning_rate", "num_train_epochs"):
            check_direction([s[parameter] for s, _ in seen] + [settings[parameter]], seen)


def check_direction(values: list[float], seen: Any) -> None:
    """A value never returns to one that was left, nor passes it."""
    for i, j in itertools.combinations(range(len(values)), 2):
        if values[i] != values[i + 1]:
            raised = values[i + 1] > values[i]
            assert values[j] > values[i] if raised else values[j] < values[i], (values, seen)


def of_settings(
    settings: dict[str, Any], name: str, optimizer: str, tried: tuple[Tried, ...]
) -> Facts:
    """A training with these settings whose curves are those of that name."""
    made, epochs = MADE[name], settings["num_train_epochs"]
    config = build_optimizer_config(
        100 * epochs,
        optimizer=optimizer,
        **{n: v for n, v in settings.items() if n in DEFAULTS},
    )
    model = made.model.model_copy(
        update={
            "num_train_epochs": epochs,
            "num_train_steps": 100 * epochs,
            "steps_per_epoch": 100,
            "optimizer": config,
            "best_step": STEPS if settings.get("load_best_model_at_end") else None,
        }
    )
    return Facts(made.metrics, model, made.records, tried=tried)


def rising(lowest: float, end: float) -> Facts:
    """A loss that falls from that of a constant answer, and rises again."""
    losses = np.select([X < 0.2, X < 0.7], [CHANCE, lowest], end)
    return facts(losses, [lowest] * 3, constant_loss=CHANCE)


@pytest.mark.parametrize(
    ("below", "above"),
    [
        pytest.param(
            facts(FLAT * 0.35, [3.4] * 3, rate=1e-2), facts(FLAT * 0.45, [3.4] * 3, rate=1e-2),
            id="40 % of a constant answer's loss are left",
        ),
        pytest.param(
            facts(FALLING + 2.4, [3.0, 3.04, 3.08, 3.12], values=[0.5] * 4),
            facts(FALLING + 2.4, [3.0, 3.08, 3.16, 3.24], values=[0.5] * 4),
            id="the validation loss rose by 5 %",
        ),
        pytest.param(
            rising(1.0, 2.0),
            rising(1.0, 2.7),
            id="the loss rose by 30 % of a constant answer's",
        ),
        pytest.param(
            rising(3.6, 5.2),
            rising(3.6, 5.9),
            id="the loss rose by half",
        ),
    ],
)  # fmt: skip
def test_each_limit_counts_once_it_is_passed(below: Facts, above: Facts) -> None:
    assert judge(below).kind == HEALTHY
    assert judge(above).kind in ("too high", "overfitted", "diverged")
