"""The tasks: one line each. Importing this needs neither numpy nor TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

from kfp_finetune.components.errors import InputError

if TYPE_CHECKING:
    from kfp_finetune.components.tasks.declaration import Layout
    from kfp_finetune.components.tasks.problem_type import ProblemType
    from kfp_finetune.components.tasks.task import Task

# The folder of each task; its module `task` has the instance TASK. The first one is the default.
_FOLDERS: Final = (
    "text_classification",
    "token_classification",
)


def _load(folder: str) -> Task:
    task: Task = import_module(f"kfp_finetune.components.tasks.{folder}.task").TASK
    return task


TASKS: Final[Mapping[str, Task]] = {task.name: task for task in map(_load, _FOLDERS)}
DEFAULT_TASK: Final = next(iter(TASKS))
PROBLEM_TYPES: Final[Mapping[str, ProblemType]] = {
    kind.name: kind for task in TASKS.values() for kind in task.problem_types
}


def get_task(name: str) -> Task:
    """The task of this name.

    Raises:
        InputError: If there is no such task.
    """
    if name not in TASKS:
        raise InputError(
            f"unknown task '{name}'",
            where="task",
            expected="one of " + ", ".join(TASKS),
            remedy=f"--task {DEFAULT_TASK}",
        )
    return TASKS[name]


def get_problem_type(name: str) -> ProblemType:
    """The problem type of this name, as a manifest has it."""
    return PROBLEM_TYPES[name]


def task_of(problem_type: str) -> Task:
    """The task that has this problem type."""
    return next(t for t in TASKS.values() if PROBLEM_TYPES[problem_type] in t.problem_types)


def task_of_layout(layout: Layout) -> Task:
    """The task whose text files have this layout."""
    return next(task for task in TASKS.values() if task.plain_text == layout)


def task_of_lists() -> Task:
    """The task whose texts may be lists of words."""
    return next(task for task in TASKS.values() if task.reads_lists)
