"""The report that people read: one page that needs nothing else, a section per function."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts.metrics import ClassScores, MarkedSentence, Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.evaluate.confusion import confusion_picture
from kfp_finetune.components.evaluate.diagnosis import diagnose
from kfp_finetune.components.evaluate.headline import headline
from kfp_finetune.components.evaluate.metric_table import (
    metric_name,
    metric_rows,
    metric_text,
    slice_metrics,
    tiles,
)
from kfp_finetune.components.evaluate.reliability import reliability_pictures
from kfp_finetune.components.evaluate.reproduction import command, training_facts
from kfp_finetune.components.evaluate.training_curves import training_curves
from kfp_finetune.components.pages.page import count_text, percent_text, templates
from kfp_finetune.components.tasks.problem_types import MULTI_LABEL, REGRESSION
from kfp_finetune.components.tasks.scores.slices import LABEL, LENGTH
from kfp_finetune.components.uris import without_secrets


def render_report(
    metrics: Metrics,
    model: ModelManifest,
    training_log: Iterable[dict[str, Any]],
    dataset: TokenizedDatasetManifest,
    *,
    texts_in_report: bool = True,
) -> str:
    """Write the evaluation report as a self-contained HTML page.

    Args:
        metrics: What was measured, on the split that the report is about.
        model: The model's manifest: how it was trained.
        training_log: Its records in order, as `artifacts.model.write_training_log` documents them.
        dataset: The manifest of the data.

        texts_in_report: Whether examples have their texts, which `metrics` says.

    Returns:
        The page, without any reference to the network. The same input gives the same bytes.
    """
    told = headline(model.problem_type)
    records = list(training_log)
    page = templates(Path(__file__).parent).get_template("report.html.jinja")
    return page.render(
        title=f"{short(model.base_model)} on {short(without_secrets(dataset.dataset))}",
        split=metrics.split,
        verdict=told.verdict(metrics),
        diagnosis=diagnose(records, model, metrics.baseline.get("loss", math.inf)),
        tiles=tiles(metrics, model.problem_type),
        all_metrics=metric_rows(metrics, model.problem_type),
        curves=training_curves(records, model),
        confusion=confusion_picture(metrics),
        classes=_classes(metrics),
        entity_errors=metrics.entity_errors,
        sentences=[_marked(sentence) for sentence in metrics.sentences],
        recalls=_recalls(metrics),
        multi_label=model.problem_type == MULTI_LABEL,
        calibration=reliability_pictures(metrics.calibration) if metrics.calibration else [],
        slices=_slices(metrics, model.problem_type),
        mistakes=metrics.mistakes,
        confused_pairs=metrics.confused_pairs,
        suspected=metrics.suspected_label_errors,
        data=_data(dataset),
        training=training_facts(model),
        command=command(model, texts_in_report=texts_in_report),
    )


def short(source: str) -> str:
    """A name for a heading: the last part of a path or an address, a Hub id as it is."""
    is_place = source.startswith((".", "/", "~")) or "://" in source
    return (source.rstrip("/").rpartition("/")[2] or source) if is_place else source


def _classes(metrics: Metrics) -> list[dict[str, Any]]:
    """The rows of the per-class table, weakest F1 first, labels without examples last."""
    has_ranks = any(scores.average_precision is not None for scores in metrics.per_class)

    def ranked(scores: ClassScores) -> list[float | None]:
        return [scores.average_precision if scores.support else None] if has_ranks else []

    rows = [
        {
            "label": scores.label,
            "support": scores.support,
            "f1": scores.f1,
            "cells": [scores.precision, scores.recall, *ranked(scores)]
            if scores.support
            else [None, None, *ranked(scores)],
            "threshold": scores.threshold,
        }
        for scores in metrics.per_class
    ]
    return sorted(rows, key=lambda row: (row["support"] == 0, row["f1"], row["label"]))


def _recalls(metrics: Metrics) -> list[tuple[str, float]]:
    """How many entities were found of those that the training data has, and of the others."""
    names = {
        "seen_recall": "that are in the training data",
        "unseen_recall": "that are not in the training data",
    }
    found = metrics.metrics
    return [(told, found[name]) for name, told in names.items() if name in found]


def _marked(sentence: MarkedSentence) -> dict[str, Any]:
    """A sentence as pieces of text, some of them marked as an entity or a word with a tag."""
    pieces: list[dict[str, Any]] = []
    at = 0
    for span in sentence.spans:
        start = max(span.start, at)
        pieces.append({"text": " ".join(sentence.words[at:start])})
        pieces.append({"text": " ".join(sentence.words[start : span.stop]), "span": span})
        if span.kind in ("wrong_boundary", "wrong_both"):
            words = sentence.words[span.predicted_start : span.predicted_stop]
            pieces[-1]["found"] = " ".join(words)
        at = max(at, span.stop)
    rest = " ".join(sentence.words[at:]) + " …" * bool(sentence.more_words)
    pieces.append({"text": rest})
    return {"row": sentence.row, "pieces": [p for p in pieces if p["text"]]}


def _slices(metrics: Metrics, problem_type: str) -> list[dict[str, Any]]:
    """A table for each thing that the examples are divided by.

    Labels have a table of their own, except for numbers.
    """
    names = slice_metrics(problem_type)
    titles = {LENGTH: "By length in tokens", LABEL: "By the true number"}
    tables = []
    for by in dict.fromkeys(part.by for part in metrics.slices):
        if by == LABEL and problem_type != REGRESSION:
            continue
        parts = [part for part in metrics.slices if part.by == by]
        # Of errors the largest, of scores the whole, is a full bar.
        full = max(p.metrics[names[0]] for p in parts) if problem_type == REGRESSION else 1
        tables.append(
            {
                "title": titles.get(by, f"By {by}"),
                "heads": [metric_name(name, problem_type) for name in names],
                "rows": [
                    {
                        "value": part.value,
                        "count": part.num_examples,
                        "share": part.metrics[names[0]] / (full or 1),
                        "cells": [
                            metric_text(name, part.metrics[name]) if name in part.metrics else "–"
                            for name in names
                        ],
                    }
                    for part in parts
                ],
            }
        )
    return tables


def _data(dataset: TokenizedDatasetManifest) -> dict[str, Any]:
    columns = [
        dataset.text_column,
        *([dataset.text_pair_column] if dataset.text_pair_column else []),
    ]
    return {
        "facts": [
            ("Source", without_secrets(dataset.dataset)),
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
                "rows": counts.rows - counts.divided,
                "dropped": sum(counts.dropped.values()),
                "reasons": ", ".join(f"{r} {count_text(n)}" for r, n in counts.dropped.items()),
                "examples": counts.rows if counts.divided else None,
            }
            for name, counts in dataset.splits.items()
        ],
    }
