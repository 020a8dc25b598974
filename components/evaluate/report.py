"""The report that people read: one page that needs nothing else, a section per function."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.build_optimizer.curve import describe, settings
from kfp_finetune.components.evaluate.confusion import confusion_picture
from kfp_finetune.components.evaluate.headline import headline
from kfp_finetune.components.evaluate.training_curves import training_curves
from kfp_finetune.components.pages.page import (
    count_text,
    number_text,
    percent_text,
    templates,
)


def render_report(
    metrics: Metrics,
    model: ModelManifest,
    training_log: Iterable[dict[str, Any]],
    dataset: TokenizedDatasetManifest,
) -> str:
    """Write the evaluation report as a self-contained HTML page.

    Args:
        metrics: What was measured, on the split that the report is about.
        model: The model's manifest: how it was trained.
        training_log: Its records in order, as `artifacts.model.write_training_log` documents them.
        dataset: The manifest of the data.

    Returns:
        The page, without any reference to the network. The same input gives the same bytes.
    """
    told = headline(model.problem_type)
    page = templates(Path(__file__).parent).get_template("report.html.jinja")
    return page.render(
        title=f"{_short(model.base_model)} on {_short(dataset.dataset)}",
        split=metrics.split,
        verdict=told.verdict(metrics),
        tiles=told.tiles(metrics),
        curves=training_curves(list(training_log), model),
        confusion=confusion_picture(metrics) if metrics.confusion_matrix else None,
        classes=_classes(metrics),
        data=_data(dataset),
        training=_training(model),
    )


def _short(source: str) -> str:
    """A name for a heading: the last part of a path or an address, a Hub id as it is."""
    is_place = source.startswith((".", "/", "~")) or "://" in source
    return (source.rstrip("/").rpartition("/")[2] or source) if is_place else source


def _classes(metrics: Metrics) -> list[dict[str, Any]]:
    """The rows of the per-class table, weakest F1 first, labels without examples last."""
    rows = [
        {
            "label": scores.label,
            "support": scores.support,
            "f1": scores.f1,
            "cells": [scores.precision, scores.recall] if scores.support else [None, None],
        }
        for scores in metrics.per_class
    ]
    return sorted(rows, key=lambda row: (row["support"] == 0, row["f1"], row["label"]))


def _data(dataset: TokenizedDatasetManifest) -> dict[str, Any]:
    columns = [
        dataset.text_column,
        *([dataset.text_pair_column] if dataset.text_pair_column else []),
    ]
    return {
        "facts": [
            ("Source", dataset.dataset),
            ("Text", " + ".join(columns)),
            ("Label", dataset.label_column),
            *([("Labels", count_text(len(dataset.label_names)))] if dataset.label_names else []),
            ("Tokenizer", dataset.model),
            ("Longest input", f"{count_text(dataset.max_length)} tokens"),
            ("Texts cut at that length", percent_text(dataset.truncated_share)),
            *(
                [("Fingerprint", dataset.dataset_fingerprint)]
                if dataset.dataset_fingerprint
                else []
            ),
        ],
        "splits": [
            {
                "name": name,
                "read": counts.rows_read,
                "rows": counts.rows,
                "dropped": sum(counts.dropped.values()),
                "reasons": ", ".join(f"{r} {count_text(n)}" for r, n in counts.dropped.items()),
            }
            for name, counts in dataset.splits.items()
        ],
    }


def _training(model: ModelManifest) -> dict[str, Any]:
    told = headline(model.problem_type)
    names = {told.followed: told.followed_name}
    done = count_text(model.updates_done)
    facts = [
        ("Base model", model.base_model),
        ("Task", f"{model.task}, {model.problem_type}"),
        ("Updates", f"{done} of {count_text(model.num_train_steps)} planned"),
        ("Batch size", count_text(model.batch_size)),
        ("Gradient accumulation", count_text(model.gradient_accumulation_steps)),
        ("Seed", str(model.seed)),
    ]
    if model.stopped_at:
        facts.append(("Stopped early", model.stopped_at.reason))
    facts += [
        (f"Validation {names.get(name, name.replace('_', ' '))}", number_text(value))
        for name, value in model.validation_metrics.items()
    ]
    return {
        "sentence": describe(model.optimizer),
        "plan": _plan(model),
        "facts": facts,
        "settings": settings(model.optimizer),
        "environment": [
            (name, value if isinstance(value, str) else json.dumps(value, sort_keys=True))
            for name, value in model.environment.items()
        ],
    }


def _plan(model: ModelManifest) -> str:
    """How the number of updates came about, in the manifest's own numbers; nothing is recounted."""
    batch = count_text(model.batch_size)
    if model.gradient_accumulation_steps > 1:
        batch = f"({batch} × {count_text(model.gradient_accumulation_steps)} accumulated)"
    epoch = (
        f"{count_text(model.num_train_examples)} examples ÷ {batch}"
        f" = {count_text(model.steps_per_epoch)} steps"
    )
    epochs = "1 epoch" if model.num_train_epochs == 1 else f"{model.num_train_epochs:.4g} epochs"
    return f"{epoch} × {epochs} = {count_text(model.num_train_steps)} steps"
