"""Plausible runs without a training: synthetic logits, a schedule with warmup, a falling loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from kfp_finetune.components.artifacts.data_report import DataReport, Example
from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, Schedule
from kfp_finetune.components.artifacts.tokenized_dataset import (
    SplitCounts,
    TokenizedDatasetManifest,
    slice_name,
)
from kfp_finetune.components.build_optimizer.schedules import learning_rates
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.judgement.judge import judge
from kfp_finetune.components.tasks.predictions import Predictions
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.text_classification.task import TASK

FOLLOWED = {SINGLE_LABEL: "accuracy", MULTI_LABEL: "micro_f1", REGRESSION: "mae"}


def names_of(count: int) -> list[str]:
    return [f"label_{i}_with_a_rather_long_name_of_its_own"[: 14 + i % 25] for i in range(count)]


def make_outputs(
    random: np.random.Generator, problem_type: str, count: int, skill: float
) -> tuple[np.ndarray, np.ndarray]:
    """Synthetic labels and logits, the more accurate the higher the skill."""
    if problem_type == REGRESSION:
        labels = random.normal(3, 1, (600, 1))
        return labels, labels + random.normal(size=labels.shape) * 2 / skill
    if problem_type == MULTI_LABEL:
        marks = random.random((60 * count, count)) < 0.6 / np.arange(2, count + 2)
        bias = random.normal(size=count) + skill
        return marks, random.normal(size=marks.shape) + (2 * marks - 1.3) * bias
    labels = np.concatenate([np.arange(count), random.integers(0, count, 40 * count)])
    logits = random.normal(size=(len(labels), count))
    logits[np.arange(len(labels)), labels] += skill + random.normal(size=count)[labels]
    logits[np.arange(len(labels)), (labels + labels % 3) % count] += 1.5
    return labels, logits


def make_inputs(
    names: list[str],
    *,
    problem_type: str = SINGLE_LABEL,
    steps_per_epoch: int = 282,
    epochs: int = 3,
    skill: float = 3.0,
    text: str = "message",
    column: str = "channel",
    with_texts: bool = True,
) -> tuple[Metrics, ModelManifest, list[dict[str, Any]], TokenizedDatasetManifest]:
    """A plausible run: synthetic logits, a schedule with warmup and a falling loss."""
    random = np.random.default_rng(7)
    count = max(len(names), 1)
    labels, logits = make_outputs(random, problem_type, count, skill)
    model = make_model(names, problem_type, steps_per_epoch, epochs)
    log = make_log(random, model, count)
    dataset = make_dataset(model, column, len(labels))
    predictions = synthetic_predictions(random, labels, logits, text, column)
    metrics = TASK.score(predictions, pa.table({}), model, dataset, "test", with_texts=with_texts)
    metrics.verdict = judge(Facts(metrics, model, log))
    return metrics, model, log, dataset


def make_model(
    names: list[str], problem_type: str, steps_per_epoch: int, epochs: int
) -> ModelManifest:
    """The manifest of a trained model; its schedule has warmup."""
    steps = steps_per_epoch * epochs
    return ModelManifest(
        task="text-classification",
        problem_type=problem_type,
        label_names=names,
        max_length=128,
        base_model="sentence-transformers/all-MiniLM-L6-v2",
        dataset="/data/banking77",
        num_train_examples=steps_per_epoch * 32 - 21,
        batch_size=32,
        gradient_accumulation_steps=1,
        num_train_epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        num_train_steps=steps,
        updates_done=steps,
        optimizer=OptimizerConfig(
            schedule=Schedule(warmup_steps=steps // 10, num_train_steps=steps)
        ),
        seed=42,
        temperature=1.4 if problem_type == SINGLE_LABEL else 1,
        thresholds=[0.4] * max(len(names), 1) if problem_type == MULTI_LABEL else None,
        validation_metrics={"loss": 0.41, FOLLOWED[problem_type]: 0.92},
        environment={
            "tensorflow": "2.21.0",
            "transformers": "5.24.0",
            "python": "3.11.9",
            "threads": 2,
            "precision": "bfloat16",
        },
    )


def make_log(random: np.random.Generator, model: ModelManifest, count: int) -> list[dict[str, Any]]:
    """A training log whose loss falls from that of chance among `count` labels."""
    steps, per_epoch = model.num_train_steps, model.steps_per_epoch
    log: list[dict[str, Any]] = []
    for step, rate in enumerate(learning_rates(model.optimizer.schedule)[:-1]):
        level = 0.3 + (np.log(max(count, 2)) - 0.3) * np.exp(-4 * step / steps)
        loss = float(level * random.gamma(30, 1 / 30))
        log.append({"step": step, "learning_rate": float(rate), "loss": loss})
        if (step + 1) % per_epoch == 0:
            metric = 0.5 + 0.42 * (step + 1) / steps
            validation = {"loss": float(level * 1.1), FOLLOWED[model.problem_type]: metric}
            log.append({"step": step + 1, "validation": validation})
    return log


def make_dataset(model: ModelManifest, column: str, rows: int) -> TokenizedDatasetManifest:
    """The manifest of the model's dataset, with so many test rows."""
    return TokenizedDatasetManifest(
        task=model.task,
        problem_type=model.problem_type,
        label_names=model.label_names,
        text_column="text",
        label_column="category",
        slice_columns=[column],
        max_length=128,
        pad_token_id=0,
        vocab_size=30_522,
        has_token_type_ids=True,
        truncated_share=0.0123,
        dataset=model.dataset,
        model=model.base_model,
        splits={
            "train": SplitCounts(
                rows_read=9013, rows=9003, dropped={"empty text": 7, "missing label": 3}
            ),
            "validation": SplitCounts(rows_read=1000, rows=1000),
            "test": SplitCounts(rows_read=rows, rows=rows),
        },
    )


def synthetic_predictions(
    random: np.random.Generator, labels: np.ndarray, logits: np.ndarray, text: str, column: str
) -> Predictions:
    """Rows with a text, a length and a slice column, beside their labels and logits."""
    count = len(labels)
    table = pa.table(
        {
            "row": np.arange(count),
            "text": [f"{text} {i} " + "of words " * (i % 50) for i in range(count)],
            slice_name(column): [("mail", "chat", None)[i % 3] for i in range(count)],
        }
    )
    lengths = np.minimum(random.geometric(1 / 30, count), 128)
    return Predictions(table, labels, logits.astype(np.float32), lengths)


def make_data_report(names: list[str], **changes: Any) -> DataReport:
    """A data report with a warning, overlaps, a source of each split, and examples."""
    splits = ("train", "validation", "test")
    values: dict[str, Any] = {
        "dataset": "/data/a-rather-long-name-of-a-file.csv",
        "model": "sentence-transformers/all-MiniLM-L6-v2",
        "rows_read": {"train": 12_345, "validation": 1_234, "test": 1_234},
        "rows_kept": {"train": 12_300, "validation": 1_234, "test": 1_234},
        "rows_dropped": {"train": {"empty text": 45}, "validation": {}, "test": {}},
        "sources": dict.fromkeys(splits, "/data/a-rather-long-name-of-a-file.csv"),
        "overlaps": {"train, validation": 3, "train, test": 12, "validation, test": 0},
        "problem_type": SINGLE_LABEL,
        "labels": {
            name: {"train": 10_000 // (i + 1), "validation": 900, "test": 1_100}
            for i, name in enumerate(names)
        },
        "columns": {"text": "text", "label": "category"},
        "max_length": 128,
        "length_percentiles": {str(p): p for p in (50, 90, 95, 99, 100)},
        "truncated_share": 0.0123,
        "max_length_for_1_percent": 130,
        "unknown_token_share": 0.001,
        "pieces_per_word": 1.12,
        "notes": ["using column 'text' as text: the only one with a usual name"],
        "warnings": ["12 training texts also occur in the test split; --drop-overlap omits them"],
        "examples": [
            Example(split=split, row=1_234, text="a message of some words " * 9, label=names[-1])
            for split in splits
        ],
    }
    return DataReport(**values | changes)
