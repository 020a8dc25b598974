"""The evaluation report as one self-contained page."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts.metrics import (
    LESS_IS_BETTER,
    ClassScores,
    Example,
    MarkedSentence,
    Metrics,
)
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.evaluate.confusion import confused_pairs, confusion_picture
from kfp_finetune.components.evaluate.metric_table import (
    metric_name,
    metric_rows,
    metric_text,
    tiles,
)
from kfp_finetune.components.evaluate.number_charts import number_charts
from kfp_finetune.components.evaluate.rare_labels import rare_labels_section
from kfp_finetune.components.evaluate.reliability import made_worse, reliability_pictures
from kfp_finetune.components.evaluate.reproduction import command, training_facts, try_next
from kfp_finetune.components.evaluate.training_curves import training_curves
from kfp_finetune.components.number_text import count_text, percent_text
from kfp_finetune.components.pages.page import templates
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.components.tasks.problem_type import ProblemType
from kfp_finetune.components.tasks.registry import get_problem_type
from kfp_finetune.components.tasks.scores.slices import LABEL, LENGTH


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
        metrics: The metrics of the split.
        model: The model's manifest.
        training_log: Its records in order, as documented by `artifacts.model.write_training_log`.
        dataset: The manifest of the data.
        texts_in_report: Whether `metrics` has the texts of examples.

    Returns:
        The page, without any reference to the network. The same input gives the same bytes.
    """
    kind = get_problem_type(model.problem_type)
    records = list(training_log)
    page = templates(Path(__file__).parent).get_template("report.html.jinja")
    return page.render(
        title=f"{short(model.base_model)} on {short(without_secrets(dataset.dataset))}",
        split=metrics.split,
        source=_test_source(dataset, metrics.split),
        result=kind.result(metrics),
        verdict=metrics.verdict,
        try_next=try_next(metrics.verdict, model),
        tiles=tiles(metrics, kind),
        all_metrics=metric_rows(metrics, kind),
        curves=training_curves(records, model),
        numbers=number_charts(metrics),
        confusion=confusion_picture(metrics),
        classes=_classes(metrics),
        rare=rare_labels_section(metrics),
        entity_errors=metrics.entity_errors,
        sentences=[_marked(sentence) for sentence in metrics.sentences],
        recalls=_recalls(metrics),
        kind=kind,
        calibration=reliability_pictures(metrics.calibration) if metrics.calibration else [],
        rejected_temperature=metrics.calibration and metrics.calibration.rejected_temperature,
        worse=made_worse(metrics.calibration) if metrics.calibration else [],
        slices=_slices(metrics, kind),
        mistakes=_mistakes(metrics),
        doubtful={example.row for example in metrics.suspected_label_errors},
        confused_pairs=confused_pairs(metrics),
        data=_data(dataset),
        training=training_facts(model),
        command=command(model, texts_in_report=texts_in_report),
    )


def short(source: str) -> str:
    """A name for a heading: the last part of a path or URI, or a Hub id unchanged."""
    is_place = source.startswith((".", "/", "~")) or "://" in source
    return (source.rstrip("/").rpartition("/")[2] or source) if is_place else source


def _test_source(dataset: TokenizedDatasetManifest, split: str) -> str:
    """The file of the evaluated split; empty if its rows were drawn from the training data."""
    sources = {name: counts.source for name, counts in dataset.splits.items()}
    found = sources.get(split, "")
    return short(found) if found and found != sources.get("train") else ""


def _mistakes(metrics: Metrics) -> list[Example]:
    """The most confident errors, and the possible label errors that are not among them."""
    shown = {example.row for example in metrics.mistakes}
    others = [e for e in metrics.suspected_label_errors if e.row not in shown]
    return [*metrics.mistakes, *others]


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
    """The recall of entities that occur in the training data, and of those that do not."""
    names = {
        "seen_recall": "seen in training",
        "unseen_recall": "unseen in training",
    }
    found = metrics.metrics
    return [(text, found[name]) for name, text in names.items() if name in found]


def _marked(sentence: MarkedSentence) -> dict[str, Any]:
    """A sentence as pieces of text, some of which are marked as an entity or a tagged word."""
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


def _slices(metrics: Metrics, kind: ProblemType) -> list[dict[str, Any]]:
    """The tables of slices, one per grouping."""
    names = kind.slice_metrics
    titles = {LENGTH: "By length in tokens", LABEL: kind.label_slices}
    tables = []
    for by in dict.fromkeys(part.by for part in metrics.slices):
        title = titles.get(by, f"By {by}")
        if not title:
            continue
        parts = [part for part in metrics.slices if part.by == by]
        # A full bar is the largest error, or a perfect score.
        is_error = names[0] in LESS_IS_BETTER
        full = max(p.metrics[names[0]] for p in parts) if is_error else 1
        tables.append(
            {
                "title": title,
                "heads": [metric_name(name, kind) for name in names],
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
    longest = dataset.longest
    return {
        "facts": [
            ("Source", without_secrets(dataset.dataset)),
            ("Text", " + ".join(columns)),
            ("Label", dataset.label_column),
            *([("Labels", count_text(len(dataset.label_names)))] if dataset.label_names else []),
            ("Tokenizer", dataset.model),
            *([("Longest input", f"{count_text(longest)} tokens")] if longest else []),
            ("Truncated at", f"{count_text(dataset.max_length)} tokens"),
            ("Truncated texts", percent_text(dataset.truncated_share)),
        ],
        "splits": [
            {
                "name": name,
                "source": short(counts.source) if counts.rows_read else "",
                "read": counts.rows_read,
                "rows": counts.rows - counts.divided,
                "dropped": sum(counts.dropped.values()),
                "reasons": ", ".join(f"{r} {count_text(n)}" for r, n in counts.dropped.items()),
                "examples": counts.rows if counts.divided else None,
            }
            for name, counts in dataset.splits.items()
        ],
    }
