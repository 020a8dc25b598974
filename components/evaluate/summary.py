"""The evaluation in a few lines of Markdown, which Kubeflow's Compare shows side by side."""

from __future__ import annotations

import re

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.evaluate.headline import headline
from kfp_finetune.components.evaluate.metric_table import tiles
from kfp_finetune.components.evaluate.report import short
from kfp_finetune.components.inert import inert
from kfp_finetune.components.pages.page import count_text
from kfp_finetune.components.uris import without_secrets

_METRICS = 5
_SYNTAX = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")


def render_summary(
    metrics: Metrics, model: ModelManifest, dataset: TokenizedDatasetManifest
) -> str:
    """Write the summary: verdict, model, data and the five most important metrics.

    Args:
        metrics: What was measured.
        model: The model's manifest.
        dataset: The manifest of the data.
    """
    strong, rest = headline(model.problem_type).verdict(metrics)
    # A list: the UI's tables have no space between their columns.
    rows = [
        f"- {_text(name)}: **{_text(value)}**" + (f" ({_text(note)})" if note else "")
        for name, value, note in tiles(metrics, model.problem_type)[:_METRICS]
    ]
    lines = [
        f"**{_text(strong)}** {_text(rest)}",
        "",
        f"Model: {_text(short(model.base_model))}, {count_text(model.updates_done)} of"
        f" {count_text(model.num_train_steps)} steps",
        "",
        f"Data: {_text(short(without_secrets(dataset.dataset)))},"
        f" {count_text(metrics.num_examples)} {metrics.split} examples",
        "",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """Text from data or a model as plain text of Markdown, on one line."""
    return _SYNTAX.sub(r"\\\1", " ".join(inert(text).split()))
