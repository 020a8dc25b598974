"""The evaluation in a few lines of Markdown, for Kubeflow's Compare page."""

from __future__ import annotations

import re

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.evaluate.metric_table import tiles
from kfp_finetune.components.evaluate.report_page import short
from kfp_finetune.components.inert import inert
from kfp_finetune.components.number_text import count_text
from kfp_finetune.components.options import as_given
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.components.tasks.registry import get_problem_type

_METRICS = 5
_SYNTAX = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")


def render_summary(
    metrics: Metrics, model: ModelManifest, dataset: TokenizedDatasetManifest
) -> str:
    """Write the summary: verdict, model, data and the five most important metrics.

    Args:
        metrics: The metrics of the split.
        model: The model's manifest.
        dataset: The manifest of the data.
    """
    kind = get_problem_type(model.problem_type)
    result, verdict = kind.result(metrics), metrics.verdict
    # A list, because the UI's tables have no space between columns.
    rows = [
        f"- {_text(name)}: **{_text(value)}**" + (f" ({_text(note)})" if note else "")
        for name, value, note in tiles(metrics, kind)[:_METRICS]
    ]
    lines = [
        f"**{_text(result.strong)}** {_text(result.rest)}",
        "",
        *([_text(as_given(verdict.text)), ""] if verdict else []),
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
    """Text from data or a model, escaped for Markdown, on one line."""
    return _SYNTAX.sub(r"\\\1", " ".join(inert(text).split()))
