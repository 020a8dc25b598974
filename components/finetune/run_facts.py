"""Everything that determines a run's result, and what differs between two runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig
from kfp_finetune.components.load_data.steps import StepPlan
from kfp_finetune.components.storage.uris import without_secrets

# A checkpoint holds nothing of these: their current values apply. Of everything else, including the
# optimizer's betas, it holds the old value or something computed from it.
_MAY_DIFFER = (
    "environment.",
    "optimizer.schedule.",
    "optimizer.max_grad_norm",
    "optimizer.weight_decay",
    "label_smoothing_factor",
    "class_weights",
    "label_all_tokens",
    "selection.patience",
)
_SHOWN = 6


def facts_of(
    network: Any,
    tokenized_dataset_path: str,
    optimizer: OptimizerConfig,
    plan: StepPlan,
    environment: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe a run before it begins.

    Args:
        network: The model, with the weights that training starts from.
        tokenized_dataset_path: The folder that load_data wrote.
        optimizer: The optimizer and its schedule.
        plan: The counted plan.
        environment: Versions, threads, processor.
        settings: The other parameters that change the result, such as the seed.

    Returns:
        Values by dotted names, e.g. "optimizer.schedule.learning_rate".
    """
    return _flat(
        {
            "data": _hash_of_files(Path(tokenized_dataset_path)),
            "initial_weights": _hash_of_weights(network),
            "plan": asdict(plan),
            # Without the parameters it was built from: different ones may give the same optimizer.
            "optimizer": optimizer.model_dump(mode="json", exclude={"parameters"}),
            **settings,
            "environment": environment,
        }
    )


def hyperparameters(
    optimizer: OptimizerConfig, plan: StepPlan, settings: Mapping[str, Any], model: str, data: str
) -> dict[str, str | int | float | bool]:
    """The hyperparameters for TensorBoard's HParams table, by the names of pipeline parameters.

    The table shows the first five in alphabetical order, so values at their defaults are omitted,
    except those that people compare.
    """
    schedule = optimizer.schedule
    compared = {
        "batch_size": plan.batch_size,
        "dataset": Path(without_secrets(data)).name,
        "learning_rate": schedule.learning_rate,
        "lr_scheduler_type": schedule.name,
        "model": Path(model).name,
        "num_train_epochs": plan.num_train_epochs,
        "num_train_steps": plan.num_train_steps,
        "optimizer": optimizer.name,
        "seed": settings["seed"],
    }
    unusual = {
        **optimizer.model_dump(exclude_defaults=True, exclude={"name", "schedule", "parameters"}),
        **schedule.model_dump(exclude_defaults=True, exclude={"name"}),
        **{name: value for name, value in settings.items() if value not in (0, "none")},
    }
    if plan.gradient_accumulation_steps > 1:
        unusual["gradient_accumulation_steps"] = plan.gradient_accumulation_steps
    shown = {n: v for n, v in unusual.items() if isinstance(v, str | int | float)}
    return shown | compared


def metadata_of(model: ModelManifest, path: str) -> dict[str, Any]:
    """The metadata that Kubeflow's UI shows beside a model.

    Args:
        model: The manifest of the model.
        path: The folder of the model.
    """
    measured = [name for name in model.validation_metrics if name != "loss"]
    headline = {f"validation_{name}": model.validation_metrics[name] for name in measured[:1]}
    size = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
    return {
        "base_model": model.base_model,
        "dataset": without_secrets(model.dataset),
        **headline,
        "size_mb": round(size / 1e6, 1),
        "num_train_steps": model.num_train_steps,
        "training_seconds": model.training_seconds,
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """The differences by name, each as "value, now other value"."""
    return {
        name: f"{_shown(before.get(name))}, now {_shown(now.get(name))}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    }


def fits(differences: Mapping[str, str]) -> bool:
    """Whether a checkpoint can be continued from in spite of the differences."""
    return all(name.startswith(_MAY_DIFFER) for name in differences)


def only_the_machine(differences: Mapping[str, str]) -> bool:
    """Whether only the machine and the versions of packages differ."""
    return all(name.startswith("environment.") for name in differences)


def few(differences: Mapping[str, str]) -> str:
    """The first few differences, for a message."""
    rest = len(differences) - _SHOWN
    named = [f"{name}: {values}" for name, values in differences.items()]
    return "; ".join(named[:_SHOWN]) + (f"; and {rest} more" if rest > 0 else "")


def _hash_of_files(folder: Path) -> str:
    """A hash of the rows that training reads, without the manifest, which names their source."""
    digest = hashlib.sha256()
    for path in (folder / "train.arrow", folder / "validation.arrow"):
        with path.open("rb") as file:
            digest.update(
                f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}".encode()
            )
    return digest.hexdigest()


def _hash_of_weights(network: Any) -> str:
    digest = hashlib.sha256()
    for weight in network.weights:
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:12] + "..."
