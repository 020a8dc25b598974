"""The model card: README.md with the metadata that the Hugging Face Hub reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from markupsafe import Markup

from kfp_finetune.components.artifacts.data_report import DataReport
from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.build_optimizer.curve import describe
from kfp_finetune.components.chosen import defaults_used
from kfp_finetune.components.inert import inert
from kfp_finetune.components.load_data.readers.locations import is_hub_id
from kfp_finetune.components.number_text import number_text
from kfp_finetune.components.pages.page import templates
from kfp_finetune.components.storage.uris import is_uri, without_secrets
from kfp_finetune.components.tasks.registry import get_problem_type, get_task

# Names of metrics on the Hub: huggingface.co/metrics.
_ON_THE_HUB = {
    "f1": "f1",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "micro_f1": "f1",
    "mae": "mae",
    "rmse": "rmse",
    "pearson": "pearsonr",
    "spearman": "spearmanr",
}
_MOST_LABELS = 200


def render_model_card(
    name: str,
    model: ModelManifest,
    metrics: Metrics | None = None,
    data: DataReport | None = None,
    form: str = "pt",
) -> str:
    """Write a model card, without any local path.

    Args:
        name: The id on the Hub, or the name of the folder.
        model: The manifest of the model.
        metrics: The metrics of evaluate; None without an evaluation.
        data: The data report; None without one.
        form: The export format that the card explains.

    Returns:
        The card: YAML between two lines of dashes, and Markdown.
    """
    environment = templates(Path(__file__).parent)
    environment.filters["escaped"] = _escaped
    pairs = model.text_pair_column is not None
    task, kind = get_task(model.task), get_problem_type(model.problem_type)
    does = kind.card.format(len(model.label_names))
    sample = task.sample_code_of_pairs if pairs else task.sample_code
    return environment.get_template(
        "model_card.md.jinja"
    ).render(
        metadata=Markup(inert(_metadata(name, model, metrics).to_yaml())),  # noqa: S704 - YAML
        name=name,
        literal=Markup(json.dumps(name)),  # noqa: S704 - Python
        sample_code=Markup(  # noqa: S704 - Python
            sample.format(model=json.dumps(name), max_length=model.max_length)
        ),
        form=form,
        does=does.replace("a text", "a pair of texts") if pairs else does,
        limit=kind.card_limit,
        pairs=pairs,
        model=model,
        base_model=_public(model.base_model),
        dataset=_public(model.dataset),
        optimizer=describe(model.optimizer),
        defaults=defaults_used(model),
        label_thresholds=list(zip(model.label_names, model.thresholds or (), strict=False)),
        scores=_scores(metrics) if metrics else [],
        metrics=metrics,
        splits=[name for name, rows in data.rows_kept.items() if rows] if data else [],
        rows=data.rows_kept if data else {},
        labels=dict(list(data.labels.items())[:_MOST_LABELS]) if data else {},
        more_labels=max(0, len(data.labels) - _MOST_LABELS) if data else 0,
        data=data,
    )


def _metadata(name: str, model: ModelManifest, metrics: Metrics | None) -> ModelCardData:
    dataset = _public(model.dataset)
    results = (
        [
            EvalResult(
                task_type=model.task,
                dataset_type=dataset,
                dataset_name=dataset,
                dataset_split=metrics.split,
                metric_type=_ON_THE_HUB[metric],
                metric_name=metric.replace("_", " "),
                metric_value=round(value, 6),
            )
            for metric, value in metrics.metrics.items()
            if metric in _ON_THE_HUB
        ]
        if metrics
        else []
    )
    return ModelCardData(
        base_model=model.base_model if _is_on_hub(model.base_model) else None,
        datasets=model.dataset if _is_on_hub(model.dataset) else None,
        library_name="transformers",
        pipeline_tag=model.task,
        tags=["kfp-finetune", "tensorflow"],
        metrics=sorted({result.metric_type for result in results}) or None,
        model_name=name,
        eval_results=results or None,
    )


def _scores(metrics: Metrics) -> list[tuple[str, str, str]]:
    """Name, value and 95 % interval of every scalar."""
    intervals: dict[str, Any] = getattr(metrics, "intervals", {})
    return [
        (
            name.replace("_", " ") + metrics.about(name),
            number_text(value),
            " – ".join(map(number_text, intervals[name])) if name in intervals else "",
        )
        for name, value in metrics.metrics.items()
    ]


def _is_on_hub(source: str) -> bool:
    return is_hub_id(source) and not Path(source).exists()


def _public(source: str) -> str:
    """The name of a model or dataset, without a local path."""
    if is_uri(source):
        return without_secrets(source)
    return source if _is_on_hub(source) else Path(source).name


def _escaped(text: str) -> Markup:
    """Text from data, escaped for a cell of a Markdown table."""
    line = inert(" ".join(text.split())).replace("&", "&amp;")
    return Markup("".join(f"\\{c}" if c in "\\`*_[]<>|~#" else c for c in line))  # noqa: S704
