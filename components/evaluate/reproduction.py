"""The training of a model: its facts, and the command that repeats it."""

from __future__ import annotations

from typing import Any

from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.verdict import Verdict
from kfp_finetune.components.build_optimizer.curve import describe, settings
from kfp_finetune.components.chosen import defaults_used
from kfp_finetune.components.counts import counted
from kfp_finetune.components.evaluate.environment import environment_facts, instruction_sets
from kfp_finetune.components.number_text import count_text, number_text, rate_text
from kfp_finetune.components.repeating import as_options
from kfp_finetune.components.tasks.registry import get_problem_type


def training_facts(model: ModelManifest) -> dict[str, Any]:
    """The schedule as a sentence, the step plan, and all other facts by name."""
    kind = get_problem_type(model.problem_type)
    at = " at threshold 0.5" if model.thresholds else ""  # those of the test split are fitted
    names = {kind.metric: kind.metric_name + at, "macro_f1": "macro-F1" + at}
    if model.positive_label:
        names["f1"] = f"F1 of {model.positive_label}"
    done = count_text(model.updates_done)
    rate, defaults = model.optimizer.schedule.learning_rate, defaults_used(model)
    facts = [
        ("Base model", model.base_model),
        ("Task", f"{model.task}, {model.problem_type}"),
        ("Steps", f"{done} of {count_text(model.num_train_steps)} planned"),
        ("Peak learning rate", _with(rate_text(rate), defaults.get("learning_rate"))),
        ("Epochs", _with(f"{model.num_train_epochs:.4g}", defaults.get("num_train_epochs"))),
        ("Most tokens per example", count_text(model.max_length)),
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
        "environment": environment_facts(model.environment),
        "details": [
            *_if("Base model", model.base_model_fingerprint),
            *_if("Data", model.dataset_fingerprint),
            *instruction_sets(model.environment),
        ],
    }


def _with(value: str, reason: str | None) -> str:
    return f"{value}, {reason}" if reason else value


def _if(name: str, value: str) -> list[tuple[str, str]]:
    return [(name, value)] if value else []


def _plan(model: ModelManifest) -> str:
    """The formula of the number of steps, from the numbers in the manifest."""
    batch = count_text(model.batch_size)
    if model.gradient_accumulation_steps > 1:
        batch = f"({batch} × {count_text(model.gradient_accumulation_steps)} accumulated)"
    epoch = (
        f"{counted(model.num_train_examples, 'example')} ÷ {batch}"
        f" = {counted(model.steps_per_epoch, 'step')}"
    )
    epochs = "1 epoch" if model.num_train_epochs == 1 else f"{model.num_train_epochs:.4g} epochs"
    return f"{epoch} × {epochs} = {counted(model.num_train_steps, 'step')}"


def try_next(verdict: Verdict | None, model: ModelManifest) -> list[str]:
    """The command of the advised training, as `command` returns it; empty without advice."""
    if verdict is None or not verdict.options or model.parameters is None:
        return []
    return ["kfp-finetune run", *as_options(model.parameters | verdict.options)]


def command(model: ModelManifest, *, texts_in_report: bool = True) -> list[str]:
    """The command that repeats the training, with every parameter that is not at its default.

    Args:
        model: The model's manifest.
        texts_in_report: The parameter of evaluate.

    Returns:
        The command and each option with its value, quoted for a shell; empty if the parameters were
        not recorded.
    """
    if model.parameters is None:
        return []
    of_report = {} if texts_in_report else {"texts_in_report": False}
    return ["kfp-finetune run", *as_options(model.parameters | of_report)]
