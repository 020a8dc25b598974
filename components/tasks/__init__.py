"""What differs between tasks: one module per task, and nothing about any step."""

from __future__ import annotations

from types import ModuleType

from kfp_finetune.components.errors import InputError

TASKS = ("text-classification",)


def get_task(name: str) -> ModuleType:
    """The module of a task.

    Raises:
        InputError: If there is no such task.
    """
    if name not in TASKS:
        raise InputError(
            f"task '{name}' is not known",
            where="task",
            expected="one of " + ", ".join(TASKS),
            remedy=f"--task {TASKS[0]}",
        )
    from kfp_finetune.components.tasks import text_classification

    return text_classification
