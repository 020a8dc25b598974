"""The parameters needed to repeat a step: those that are not at their defaults.

load_data and build_optimizer write theirs into their manifests; finetune copies them into the
model's manifest and adds its own. The report prints them as a command.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from kfp_finetune.components.inert import is_steering
from kfp_finetune.components.storage.uris import without_secrets

# Parameters of how a step is executed; they do not change its result.
EXECUTION_PARAMETERS = (
    "checkpoint_dir",
    "checkpoint_per_trial",
    "checkpoint_every_steps",
    "checkpoint_every_minutes",
    "checkpoints_to_keep",
    "resume_from_checkpoint",
    "tensorboard_dir",
)
_FINGERPRINTS = ("dataset_fingerprint", "model_fingerprint")


def changed(parameters: Mapping[str, Any], declared: Any) -> dict[str, Any]:
    """The parameters of a step that are not at their defaults, in the order of their declaration.

    Args:
        parameters: The values by name; None or missing if not given.
        declared: The dataclass of the step's parameters, which has their defaults.

    Returns:
        The values, without secrets, fingerprints and `EXECUTION_PARAMETERS`.
    """
    defaults = {field.name: field.default for field in fields(declared)}
    found = {}
    for name, default in defaults.items():
        value = parameters.get(name)
        if name in (*EXECUTION_PARAMETERS, *_FINGERPRINTS) or value is None:
            continue
        if default is MISSING or value != default:
            found[name] = without_secrets(value) if isinstance(value, str) else value
    return found


def as_options(parameters: Mapping[str, Any]) -> list[str]:
    """Parameters as options of `kfp-finetune run`, each with its value quoted for a shell."""
    options = []
    for name, value in parameters.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            options.append(f"--{option}" if value else f"--no-{option}")
        else:
            options.append(f"--{option} {_quoted(str(value))}")
    return options


def _quoted(text: str) -> str:
    """Quote a value for a shell, with invisible characters as escape sequences of bash."""
    if not any(map(is_steering, text)):
        return shlex.quote(text)
    escaped = (
        f"\\U{ord(c):08x}" if is_steering(c) else "\\" + c if c in "\\'" else c for c in text
    )
    return f"$'{''.join(escaped)}'"
