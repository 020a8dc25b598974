"""The parameters that are one of a few words, for Kubeflow's form, which shows them as a list.

The words are those of the modules that check them. A parameter that may have another value is not
here: the cluster refuses what is not in the list.
"""

from __future__ import annotations

from kfp_finetune.components.artifacts.optimizer_config import OPTIMIZERS, SCHEDULES
from kfp_finetune.components.finetune.parameters import ON_DIVERGENCE, PRECISIONS, RESUME
from kfp_finetune.components.load_data.choices import ON_BAD_ROW, QUOTING
from kfp_finetune.components.tasks.choices import TASKS
from kfp_finetune.components.tasks.problem_types import CLASS_WEIGHTS, PROBLEM_TYPES, TOKEN_TYPES

CHOICES: dict[str, tuple[str, ...]] = {
    "class_weights": CLASS_WEIGHTS,
    "lr_scheduler_type": SCHEDULES,
    "on_bad_row": ON_BAD_ROW,
    "on_divergence": ON_DIVERGENCE,
    "optimizer": OPTIMIZERS,
    "precision": PRECISIONS,
    "problem_type": ("auto", *PROBLEM_TYPES, *TOKEN_TYPES),
    "quoting": QUOTING,
    "resume_from_checkpoint": RESUME,
    "task": tuple(TASKS),
}
