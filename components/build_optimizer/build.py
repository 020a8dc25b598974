"""The work of build_optimizer: the optimizer config and a picture of its learning rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts import optimizer_config as artifact
from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig
from kfp_finetune.components.build_optimizer.curve import describe, drawn_steps, render_curve
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.build_optimizer.schedules import learning_rates
from kfp_finetune.components.chosen import learning_rate_note
from kfp_finetune.components.runtime import emit
from kfp_finetune.components.storage.files import write_text


def build_optimizer(
    *,
    optimizer_config_path: str,
    learning_rate_curve_path: str,
    hidden_size: int = 0,
    **parameters: Any,
) -> OptimizerConfig:
    """Write the optimizer config and draw its learning-rate curve.

    Args:
        optimizer_config_path: The folder to write the config to.
        learning_rate_curve_path: The HTML file to write the curve to.
        hidden_size: Width of the model; 0: unknown.
        **parameters: As `build_optimizer_config` takes them.

    Returns:
        The written config.

    Raises:
        InputError: With every parameter that is wrong.
    """
    config = build_optimizer_config(hidden_size=hidden_size, **parameters)
    artifact.write(optimizer_config_path, config)
    steps = drawn_steps(config.schedule)
    rates = learning_rates(config.schedule, steps)
    write_text(Path(learning_rate_curve_path), render_curve(config, rates, steps))
    if parameters.get("learning_rate") is None:
        emit("note", "build_optimizer", text=learning_rate_note(hidden_size, config))
    emit("note", "build_optimizer", text=describe(config))
    return config
