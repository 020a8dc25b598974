"""The facts that all trials of a comparison share, and the command that repeats the best one."""

from __future__ import annotations

from collections.abc import Sequence

from kfp_finetune.components.counts import counted
from kfp_finetune.components.evaluate.report_page import short
from kfp_finetune.components.evaluate.reproduction import command
from kfp_finetune.components.number_text import count_text
from kfp_finetune.components.rank.trials import Trial
from kfp_finetune.components.storage.uris import without_secrets

Facts = list[tuple[str, str]]

# Parameters of all trials that change what is learned, and so the meaning of the ranking.
_SHARED = (
    "positive_label", "class_weights", "focal_gamma", "label_smoothing_factor", "initial_bias",
    "metric_for_best_model",
)  # fmt: skip


def comparison_facts(trials: Sequence[Trial]) -> Facts:
    """Data, model, rows, seeds, the parameters of the loss, and time."""
    model, metrics = trials[0].model, trials[0].metrics
    seeds = list(dict.fromkeys(trial.model.seed for trial in trials))
    validation, given = model.num_validation_examples, model.parameters or {}
    test = f", from {short(given['test_dataset'])}" if "test_dataset" in given else ""
    rows = [
        ("Training examples", count_text(model.num_train_examples)),
        *([("Validation examples", count_text(validation))] if validation is not None else []),
        (f"{metrics.split.capitalize()} examples", count_text(metrics.num_examples) + test),
    ]
    return [
        ("Dataset", without_secrets(model.dataset)),
        ("Model", without_secrets(model.base_model)),
        *rows,
        ("Steps per trial", count_text(model.num_train_steps)),
        ("Batch size", count_text(model.batch_size)),
        (f"Seed{'s' * (len(seeds) > 1)}", ", ".join(map(str, seeds))),
        *((n.replace("_", " ").capitalize(), f"{given[n]}") for n in _SHARED if n in given),
        ("Trials", count_text(len(trials))),
        ("Training time of all trials", duration(sum(trial.seconds for trial in trials))),
    ]


def best_command(trial: Trial) -> list[str]:
    """The command that trains the best candidate alone; empty if it was not recorded."""
    if trial.model.diverged_at is not None:
        return []
    return command(trial.model)


def duration(seconds: float) -> str:
    """Seconds as people say them: "42 s", "3 min 5 s", "2 h 7 min"."""
    whole = round(seconds)
    if whole < 60:
        return counted(whole, "second")
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
