"""The parameters with a fixed list of choices, which Kubeflow's form shows as a list.

The choices come from the modules that check them. Parameters that allow other values are not listed
here, because the cluster rejects values outside the list.
"""

from __future__ import annotations

from kfp_finetune.components.artifacts.optimizer_config import OPTIMIZERS, SCHEDULES
from kfp_finetune.components.finetune.parameters import (
    INITIAL_BIASES,
    ON_DIVERGENCE,
    PRECISIONS,
    RESUME,
)
from kfp_finetune.components.load_data.choices import QUOTING
from kfp_finetune.components.tasks.registry import PROBLEM_TYPES, TASKS

CHOICES: dict[str, tuple[str, ...]] = {
    "initial_bias": INITIAL_BIASES,
    "lr_scheduler_type": SCHEDULES,
    "on_bad_row": tuple(dict.fromkeys(v for t in TASKS.values() for v in t.on_bad_row)),
    "on_divergence": ON_DIVERGENCE,
    "optimizer": OPTIMIZERS,
    "precision": PRECISIONS,
    "problem_type": ("auto", *PROBLEM_TYPES),
    "quoting": QUOTING,
    "resume_from_checkpoint": RESUME,
    "task": tuple(TASKS),
}
