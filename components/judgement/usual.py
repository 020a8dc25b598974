"""The usual learning rate and length of a training, which advice leads to."""

from __future__ import annotations

import json
import math
from pathlib import Path

from kfp_finetune.components.chosen import choose_learning_rate

_FEWEST_EPOCHS, _MOST_EPOCHS, _STEPS = 3, 20, 3000
# Names of the width in config.json, in Transformers' families.
_WIDTHS = ("hidden_size", "dim", "n_embd", "d_model")


def usual_rate(optimizer: str, width: int | None) -> float:
    """The default peak learning rate for a model.

    Args:
        optimizer: Its name.
        width: The model's hidden size; None: it is not known.
    """
    return choose_learning_rate(width or 0, optimizer)


def usual_epochs(steps_per_epoch: int) -> int:
    """The default number of epochs: the fewer rows, the more epochs.

    Args:
        steps_per_epoch: Optimizer steps of one epoch.
    """
    wanted = math.ceil(_STEPS / max(1, steps_per_epoch))
    return min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, wanted))


def width_of(model_path: str | Path) -> int | None:
    """The hidden size of a model's folder; None if its config.json does not name one."""
    try:
        config = json.loads((Path(model_path) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    found = [config[name] for name in _WIDTHS if isinstance(config.get(name), int)]
    return found[0] if found and found[0] > 0 else None
