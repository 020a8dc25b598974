"""The declarations of a task, and the checks of its parameters.

Nothing here needs numpy or TensorFlow, so that the light client checks parameters, too.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.loss_parameters import LossParameters
from kfp_finetune.components.tasks.positive_label import check_types

if TYPE_CHECKING:
    from kfp_finetune.components.tasks.problem_type import ProblemType
    from kfp_finetune.components.tasks.usual_names import Groups

Layout = Literal["lines", "conll"]


class TaskDeclaration:
    """The declarations of a task, and the checks of parameters that follow from it.

    Attributes:
        name: As in the parameter `task`, and on the Hub as `pipeline_tag`.
        problem_types: The problem types, by which `auto` is replaced once the labels are known.
        text_columns: Usual names of the column of texts.
        label_columns: Usual names of the column of labels.
        takes_pairs: Whether a row may have two texts.
        reads_lists: Whether a text may be a list of words.
        per_token: Whether the model answers for every token instead of once per text.
        unit: The unit that has a label, in the plural.
        plain_text: Layout of text files without a telling extension.
        on_bad_row: Allowed values of the parameter `on_bad_row`.
        expected_row: The required content of a row, for messages.
        keeps_training_texts: Whether evaluation needs the texts of the training split.
        sample_code: Python that uses a model from the Hub, with {model} and {max_length}.
        sample_code_of_pairs: The same for pairs of texts.
    """

    name: ClassVar[str]
    problem_types: ClassVar[tuple[ProblemType, ...]]
    text_columns: ClassVar[Groups]
    label_columns: ClassVar[Groups]
    takes_pairs: ClassVar[bool] = False
    reads_lists: ClassVar[bool] = False
    per_token: ClassVar[bool] = False
    unit: ClassVar[str] = "rows"
    plain_text: ClassVar[Layout] = "lines"
    on_bad_row: ClassVar[tuple[str, ...]] = ("error", "drop")
    expected_row: ClassVar[str]
    keeps_training_texts: ClassVar[bool] = False
    sample_code: ClassVar[str]
    sample_code_of_pairs: ClassVar[str] = ""

    def types_for(self, problem_type: str) -> tuple[ProblemType, ...]:
        """The problem types that a value of the parameter allows; all of them for "auto".

        Raises:
            InputError: If it is neither "auto" nor a problem type of the task.
        """
        if problem_type == "auto":
            return self.problem_types
        found = tuple(kind for kind in self.problem_types if kind.name == problem_type)
        if not found:
            raise InputError(
                f"unknown problem_type '{problem_type}'",
                where="problem_type",
                expected="one of auto, " + ", ".join(kind.name for kind in self.problem_types),
                remedy="--problem-type auto",
            )
        return found

    def check_data_parameters(self, parameters: Mapping[str, Any]) -> list[InputError]:
        """Everything that is wrong with the parameters of load_data for this task.

        Args:
            parameters: By name.
        """
        problems = InputError.found_by(lambda: self.types_for(parameters["problem_type"]))
        problems += InputError.found_by(lambda: self.check_pair(parameters["text_pair_column"]))
        if not problems or problems[0].where != "problem_type":
            types = self.types_for(parameters["problem_type"])
            positive = parameters["positive_label"]
            problems += InputError.found_by(
                lambda: check_types(positive, types, self.problem_types)
            )
        if parameters["on_bad_row"] not in self.on_bad_row:
            *others, last = self.on_bad_row
            problems.append(
                InputError(
                    f"on_bad_row is '{parameters['on_bad_row']}'",
                    where="on_bad_row",
                    expected=f"{', '.join(others)} or {last}",
                    remedy="--on-bad-row drop",
                )
            )
        return problems

    def check_training_parameters(self, parameters: Mapping[str, Any]) -> list[InputError]:
        """Everything that is wrong with the parameters of finetune for this task.

        Args:
            parameters: By name, with the `problem_type` of load_data; if that is not one of the
                task's, nothing can be checked.
        """
        problem_type = parameters["problem_type"]
        if InputError.found_by(lambda: self.types_for(problem_type)):
            return []
        problems = InputError.found_by(
            lambda: self.check_metric(
                problem_type, parameters["metric_for_best_model"], parameters["positive_label"]
            )
        )
        loss = LossParameters.of(parameters)
        problems += InputError.found_by(lambda: self.check_training_loss(loss, problem_type))
        if parameters["label_all_tokens"] and not self.per_token:
            problems.append(
                InputError(
                    f"label_all_tokens is true, but {self.name} does not use it",
                    where="label_all_tokens",
                    expected="a task in which every word has a label",
                    remedy="omit --label-all-tokens",
                )
            )
        return problems

    def check_pair(self, text_pair_column: str | None) -> None:
        """Check the parameter `text_pair_column`.

        Raises:
            InputError: If it is given and a row of this task has one text.
        """
        if text_pair_column and not self.takes_pairs:
            raise InputError(
                f"text_pair_column is '{text_pair_column}'",
                where="text_pair_column",
                expected=f"one column of {'words' if self.reads_lists else 'texts'}, for"
                f" {self.name}",
                remedy="omit --text-pair-column",
            )

    def check_metric(
        self, problem_type: str, metric: str, positive_label: str | None = None
    ) -> None:
        """Check the parameter `metric_for_best_model`.

        Args:
            problem_type: One of the task's, or "auto" if the data will decide.
            metric: The parameter.
            positive_label: The positive one of two labels, whose F1 is measured, too.

        Raises:
            InputError: If this metric is not measured during training.
        """
        types = self.types_for(problem_type)
        measured = {kind.name: kind.measured_in_training(positive_label) for kind in types}
        known = ["loss", *dict.fromkeys(name for names in measured.values() for name in names)]
        if metric in known:
            return
        expected = "one of " + ", ".join(known)
        if len(types) > 1:
            of_types = (f"{', '.join(names)} ({kind})" for kind, names in measured.items())
            expected = "loss, or a metric of the problem type: " + "; ".join(of_types)
        if not positive_label and any(kind.takes_positive_label for kind in types):
            expected += "; or f1, with --positive-label"
        raise unknown_metric(metric, expected, known)

    def check_training_loss(self, loss: LossParameters, problem_type: str) -> None:
        """Check the parameters of `training_loss`.

        Args:
            loss: As given.
            problem_type: One of the task's, or "auto" if it is not known yet: then only the values
                are checked.

        Raises:
            InputError: If a value is not allowed, or has no meaning for the problem type.
        """
        if problems := loss.problems(self.types_for(problem_type), self.problem_types):
            raise InputError.of_all(problems)

    def recognizes(self, values: Collection[str]) -> bool:
        """Return True if distinct values are evidently labels of this task, not texts."""
        return False


def unknown_metric(metric: str, expected: str, known: Sequence[str]) -> InputError:
    """The error for a `metric_for_best_model` that is not measured."""
    near = difflib.get_close_matches(metric, known, n=1)
    return InputError(
        f"metric_for_best_model '{metric}' is not measured",
        where="metric_for_best_model",
        expected=expected,
        remedy=f"--metric-for-best-model {near[0] if near else 'loss'}",
    )
