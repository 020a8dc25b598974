"""How a model was trained, and the command that trains it again."""

from __future__ import annotations

import json
import math
import shlex
from typing import Any

from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.build_optimizer.curve import describe, settings
from kfp_finetune.components.evaluate.headline import headline
from kfp_finetune.components.pages.page import count_text, number_text
from kfp_finetune.components.uris import without_secrets

# The pipeline's defaults of what the manifests know.
_DEFAULTS = {
    "task": "text-classification",
    "max_length": 128,
    "batch_size": 32,
    "gradient_accumulation_steps": 1,
    "num_train_epochs": 3,
    "seed": 42,
    "label_smoothing_factor": 0,
    "class_weights": "none",
    "label_all_tokens": False,
}


def training_facts(model: ModelManifest) -> dict[str, Any]:
    """The schedule in a sentence, the plan, and everything else that is known, by name."""
    told = headline(model.problem_type)
    names = {told.followed: told.followed_name}
    done = count_text(model.updates_done)
    facts = [
        ("Base model", model.base_model),
        *_if("Base model's fingerprint", model.base_model_fingerprint),
        ("Data", without_secrets(model.dataset)),
        *_if("Data's fingerprint", model.dataset_fingerprint),
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


def _if(name: str, value: str) -> list[tuple[str, str]]:
    return [(name, value)] if value else []


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


def command(model: ModelManifest, dataset: TokenizedDatasetManifest) -> list[str]:
    """The command that trains the model again, with what the manifests know and is not a default.

    Args:
        model: The model's manifest.
        dataset: The manifest of the data that it was scored on, which may be other data.

    Returns:
        The command and each option with its value, quoted for a shell.
    """
    schedule = model.optimizer.schedule
    options: dict[str, Any] = {"dataset": without_secrets(model.dataset), "model": model.base_model}
    if dataset.dataset == model.dataset:
        options |= {
            "text_column": dataset.text_column,
            "text_pair_column": dataset.text_pair_column,
            "label_column": dataset.label_column,
            "slice_columns": ",".join(dataset.slice_columns) or None,
        }
    known = model.model_dump()
    options |= {n: known[n] for n, default in _DEFAULTS.items() if known[n] != default}
    # A run of so many steps, not of so many epochs.
    if math.ceil(model.num_train_epochs * model.steps_per_epoch) != model.num_train_steps:
        options.pop("num_train_epochs", None)
        options["max_steps"] = model.num_train_steps
    options |= {
        "load_best_model_at_end": model.best_step is not None or None,
        "optimizer": None if model.optimizer.name == "adam" else model.optimizer.name,
        "lr_scheduler_type": None if schedule.name == "polynomial" else schedule.name,
        "learning_rate": schedule.learning_rate,
        **schedule.model_dump(
            exclude_defaults=True,
            exclude={"name", "learning_rate", "num_train_steps", "boundaries", "decay_steps"},
        ),
        # The artifact's default is not the parameter's.
        "num_cycles": schedule.num_cycles if schedule.name == "cosine_with_restarts" else None,
        **model.optimizer.model_dump(exclude_defaults=True, exclude={"name", "schedule"}),
    }
    if schedule.decay_steps:
        options["decay_ratio"] = schedule.decay_steps / schedule.num_train_steps
    if schedule.boundaries:
        options["lr_boundaries"] = ",".join(
            f"{start / schedule.num_train_steps}:{rate}" for start, rate in schedule.boundaries
        )
    return ["kfp-finetune run"] + [
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {shlex.quote(str(value))}")
        for name, value in options.items()
        if value is not None
    ]
