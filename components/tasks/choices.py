"""What can be chosen for each task, known without numpy: the command line checks it, too."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.problem_types import (
    CLASS_WEIGHTS,
    ENTITIES,
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
    TAGS,
)


@dataclass(frozen=True)
class Choices:
    """What a task offers.

    Attributes:
        metrics: Its problem types, and what each measures on the validation split while training,
            besides the loss.
        per_word: Whether every word has a label.
        plain_text: What a file is whose suffix says nothing: "lines" of texts, or "conll".
    """

    metrics: Mapping[str, Sequence[str]]
    per_word: bool = False
    plain_text: str = "lines"


TASKS = {
    "text-classification": Choices(
        {SINGLE_LABEL: ("accuracy",), MULTI_LABEL: ("micro_f1",), REGRESSION: ("mae",)}
    ),
    "token-classification": Choices(
        {ENTITIES: ("f1", "accuracy"), TAGS: ("accuracy",)}, per_word=True, plain_text="conll"
    ),
}


def check_task(task: str) -> None:
    """Check the parameter.

    Raises:
        InputError: If there is no such task.
    """
    if task not in TASKS:
        raise InputError(
            f"task '{task}' is not known",
            where="task",
            expected="one of " + ", ".join(TASKS),
            remedy="--task text-classification",
        )


def check_problem_type(task: str, problem_type: str) -> None:
    """Check the parameter.

    Raises:
        InputError: If it is neither "auto" nor a problem type of the task.
    """
    known = TASKS[task].metrics
    if problem_type not in ("auto", *known):
        raise InputError(
            f"problem_type '{problem_type}' is not known",
            where="problem_type",
            expected="one of auto, " + ", ".join(known),
            remedy="--problem-type auto",
        )


def check_text_pair(task: str, text_pair: str | None) -> None:
    """Check the parameter `text_pair_column`.

    Raises:
        InputError: If it is given and the task has one column of words.
    """
    if text_pair and TASKS[task].per_word:
        raise InputError(
            f"text_pair_column is '{text_pair}'",
            where="text_pair_column",
            expected=f"one column of words, for {task}",
            remedy="omit --text-pair-column",
        )


def check_metric(task: str, problem_type: str, metric: str) -> None:
    """Check `metric_for_best_model`.

    Args:
        task: A known task.
        problem_type: One of the task's, or "auto" where the data will decide.
        metric: The parameter.

    Raises:
        InputError: If it is not measured.
    """
    metrics = TASKS[task].metrics
    types = list(metrics) if problem_type == "auto" else [problem_type]
    known = ["loss", *dict.fromkeys(name for kind in types for name in metrics[kind])]
    if metric not in known:
        expected = "one of " + ", ".join(known)
        if len(types) > 1:
            of_types = (f"{', '.join(metrics[kind])} ({kind})" for kind in types)
            expected = "loss, or what the problem type measures: " + "; ".join(of_types)
        raise unknown_metric(metric, expected, known)


def unknown_metric(metric: str, expected: str, known: Sequence[str]) -> InputError:
    """What is raised for a metric that is not measured."""
    near = difflib.get_close_matches(metric, known, n=1)
    return InputError(
        f"metric_for_best_model '{metric}' is not measured",
        where="metric_for_best_model",
        expected=expected,
        remedy=f"--metric-for-best-model {near[0] if near else 'loss'}",
    )


def check_training_loss(
    label_smoothing_factor: float, class_weights: str, problem_type: str
) -> None:
    """Check the parameters of `training_loss`.

    Args:
        label_smoothing_factor: As given.
        class_weights: As given.
        problem_type: "auto" where it is not known yet: then the values are checked alone.

    Raises:
        InputError: If one has no such value, or has no meaning for the problem type.
    """
    problems = []
    if not 0 <= label_smoothing_factor < 1:
        problems.append(
            InputError(
                f"label_smoothing_factor is {label_smoothing_factor:g}",
                where="label_smoothing_factor",
                expected="a share of at least 0 and below 1",
                remedy="--label-smoothing-factor 0.1",
            )
        )
    elif label_smoothing_factor and problem_type == REGRESSION:
        problems.append(
            InputError(
                f"label_smoothing_factor is {label_smoothing_factor:g}, and a number to predict"
                " cannot be smoothed",
                where="label_smoothing_factor",
                expected=f"{SINGLE_LABEL} or {MULTI_LABEL}",
                remedy="omit --label-smoothing-factor",
            )
        )
    if class_weights not in CLASS_WEIGHTS:
        problems.append(
            InputError(
                f"class_weights '{class_weights}' is not known",
                where="class_weights",
                expected="one of " + ", ".join(CLASS_WEIGHTS),
                remedy="--class-weights balanced",
            )
        )
    elif class_weights == "balanced" and problem_type in (MULTI_LABEL, REGRESSION):
        problems.append(
            InputError(
                f"class_weights is balanced, and in {problem_type} a row is not of one class",
                where="class_weights",
                expected=SINGLE_LABEL,
                remedy="omit --class-weights",
            )
        )
    if problems:
        raise InputError.of_all(problems)
