"""The parameter `positive_label`: which of two labels precision, recall and F1 are about.

Nothing here needs numpy or TensorFlow, so that the light client checks it, too.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kfp_finetune.components.errors import InputError

if TYPE_CHECKING:
    from kfp_finetune.components.tasks.problem_type import ProblemType


def check_types(
    positive_label: str | None, types: Sequence[ProblemType], of_task: Sequence[ProblemType]
) -> None:
    """Check that one of the problem types that the data may have takes a positive label.

    Args:
        positive_label: As given; empty or None if it is not.
        types: The problem types that the data may have.
        of_task: All problem types of the task, for messages.

    Raises:
        InputError: If none of them does.
    """
    if not positive_label or any(kind.takes_positive_label for kind in types):
        return
    takes = [kind.name for kind in of_task if kind.takes_positive_label]
    raise InputError(
        f"positive_label is '{positive_label}', but {types[0].name} has no positive label",
        where="positive_label",
        expected=f"{' or '.join(takes)} with two labels"
        if takes
        else "texts with one of two labels",
        remedy="omit --positive-label",
    )


def check_name(positive_label: str | None, label_names: Sequence[str]) -> None:
    """Check that the positive label is one of two labels.

    Args:
        positive_label: As given; empty or None if it is not.
        label_names: The labels of the data.

    Raises:
        InputError: If there are not two labels, or it is neither of them.
    """
    if not positive_label:
        return
    names = ", ".join(map(repr, label_names[:10])) + ", ..." * (len(label_names) > 10)
    if len(label_names) != 2:
        raise InputError(
            f"positive_label is '{positive_label}', but the data has {len(label_names)} labels",
            where="positive_label",
            expected=f"two labels; the labels of the data are {names}",
            remedy="omit --positive-label; every label has its own scores in the report",
        )
    if positive_label not in label_names:
        near = difflib.get_close_matches(positive_label, label_names, n=1)
        raise InputError(
            f"positive_label '{positive_label}' is not a label",
            where="positive_label",
            expected=f"one of the labels of the data: {names}",
            remedy=f"--positive-label {near[0] if near else label_names[-1]}",
        )
