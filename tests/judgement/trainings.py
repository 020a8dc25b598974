"""Trainings with unmistakable curves, and scores that fit them."""

from __future__ import annotations

from typing import Any

import numpy as np

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.verdict import Tried
from kfp_finetune.components.build_optimizer.parameters import (
    build_optimizer_config,
)
from kfp_finetune.components.build_optimizer.schedules import learning_rates
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.tasks.registry import get_problem_type
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.token_classification.problem_types import ENTITIES, TAGS

STEPS, EPOCHS = 300, 3
X = np.linspace(0, 1, STEPS)
CHANCE = float(np.log(77))
FALLING = CHANCE * np.exp(-6 * X) + 0.2
SLOW = CHANCE * (1 - 0.5 * X)
FLAT = np.full(STEPS, CHANCE)
JUMPED = np.where(X < 0.5, CHANCE * (1 - X), CHANCE)
MINILM = 384


def scored(kind: str = SINGLE_LABEL, *, learned: bool = True, **scores: float) -> Metrics:
    """Scores on 1,000 examples that are clearly better than a constant answer's, or like it."""
    metrics, baseline, spread = {
        SINGLE_LABEL: (
            {"accuracy": 0.9, "majority_baseline_accuracy": 0.02, "macro_f1": 0.9, "loss": 0.4},
            {"accuracy": 0.02, "loss": CHANCE},
            0.02,
        ),
        TAGS: (
            {"accuracy": 0.9, "majority_baseline_accuracy": 0.3, "macro_f1": 0.9, "loss": 0.4},
            {"accuracy": 0.3, "loss": CHANCE},
            0.02,
        ),
        MULTI_LABEL: (
            {"micro_f1": 0.6, "constant_baseline_micro_f1": 0.2, "subset_accuracy": 0.5,
             "loss": 0.1, "roc_auc": 0.9},
            {"micro_f1": 0.2, "loss": 0.19},
            0.02,
        ),
        REGRESSION: (
            {"mae": 0.4, "mean_baseline_mae": 1.2, "r2": 0.8, "loss": 0.3,
             "prediction_spread": 0.9},
            {"mae": 1.2, "loss": 2.2},
            0.04,
        ),
        ENTITIES: (
            {"f1": 0.5, "precision": 0.5, "recall": 0.5, "accuracy": 0.95, "loss": 0.2},
            {"f1": 0.0, "accuracy": 0.9, "loss": 0.4},
            0.02,
        ),
    }[kind]  # fmt: skip
    metrics = {**metrics}
    if not learned:
        metrics |= {**baseline, "r2": 0.01, "roc_auc": 0.505, "precision": 0.0, "recall": 0.0}
    metrics |= scores
    return Metrics(
        split="test",
        num_examples=1000,
        metrics=metrics,
        intervals={
            name: (value - spread, value + spread) if value else (0.0, 0.0)
            for name, value in metrics.items()
            if name != "roc_auc"
        },
        baseline=baseline,
        per_class=[],
        confusion_matrix=[],
        label_names=["a", "b"],
    )


def facts(
    losses: np.ndarray,
    validation: list[float],
    *,
    kind: str = SINGLE_LABEL,
    metrics: Metrics | None = None,
    values: list[float] | None = None,
    rate: float = 2e-4,
    epochs: float = EPOCHS,
    tried: tuple[Tried, ...] = (),
    **changes: Any,
) -> Facts:
    """A training of a MiniLM with the noise of batches of 32, evaluated after each epoch."""
    optimizer = changes.pop("optimizer", "adam")
    settings = changes.pop("settings", {})
    config = build_optimizer_config(
        len(losses) or 1, optimizer=optimizer, learning_rate=rate, **settings
    )
    noise = np.random.default_rng(0).gamma(40, 1 / 40, len(losses))
    rates = learning_rates(config.schedule)
    log: list[dict[str, Any]] = []
    per_check = len(losses) // max(len(validation), 1)
    for step, loss in enumerate(losses * noise):
        log.append({"step": step, "learning_rate": float(rates[step]), "loss": float(loss)})
        done, rest = divmod(step + 1, per_check)
        if validation and not rest and done <= len(validation):
            check = {"loss": validation[done - 1]}
            if values:
                check[get_problem_type(kind).metric] = values[done - 1]
            log.append({"step": step + 1, "validation": check})
    model = ModelManifest(
        task="token-classification" if kind in (ENTITIES, TAGS) else "text-classification",
        problem_type=kind,
        # With BANKING77's rows, 77 labels get 10 epochs.
        label_names=[] if kind == REGRESSION else [f"label {i}" for i in range(77)],
        max_length=128,
        hidden_size=MINILM,
        base_model="minilm",
        dataset="data.csv",
        num_train_examples=9003,
        batch_size=32,
        gradient_accumulation_steps=1,
        num_train_epochs=epochs,
        steps_per_epoch=max(1, round(len(losses) / epochs)),
        num_train_steps=max(1, len(losses)),
        updates_done=len(losses),
        optimizer=config,
        seed=42,
        **changes,
    )
    return Facts(metrics or scored(kind), model, log, tried=tried)
