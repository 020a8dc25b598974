"""Everything that determines a run's result, and the differences between two runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig
from kfp_finetune.components.load_data.steps import StepPlan

# A checkpoint contains nothing derived from these, so their current values apply. For everything
# else, including the optimizer's betas, it contains the old value or something computed from it.
_MAY_DIFFER = (
    "environment.",
    "optimizer.schedule.",
    "optimizer.max_grad_norm",
    "optimizer.weight_decay",
    "label_smoothing_factor",
    "class_weights",
    "focal_gamma",
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
            # Without the parameters it was built from, because different ones may give the same
            # optimizer.
            "optimizer": optimizer.model_dump(mode="json", exclude={"parameters"}),
            **settings,
            "environment": environment,
        }
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """The differences by name, each as "value, now other value"."""
    return {
        name: f"{_shown(before.get(name))}, now {_shown(now.get(name))}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    }


def fits(differences: Mapping[str, str]) -> bool:
    """Return True if training can continue from a checkpoint in spite of the differences."""
    return all(name.startswith(_MAY_DIFFER) for name in differences)


def only_the_machine(differences: Mapping[str, str]) -> bool:
    """Return True if only the machine and the versions of packages differ."""
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
