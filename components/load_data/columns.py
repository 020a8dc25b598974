"""Find the text and label columns, named by the user or inferred if unambiguous."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.opening import Source
from kfp_finetune.components.load_data.readers.header import no_names
from kfp_finetune.components.tasks.registry import TASKS, task_of_lists
from kfp_finetune.components.tasks.task import Task
from kfp_finetune.components.tasks.usual_names import ANSWERS, matching, pair_among


@dataclass(frozen=True)
class ColumnMapping:
    """The columns in use.

    Attributes:
        text: The column of the text.
        text_pair: The column of the second text of a pair, if there is one.
        labels: The label column, or several: one 0/1 column per label.
        group: Rows with the same value in this column go to the same split.
        split: The column that names each row's split.
        slices: The columns by which the evaluation breaks down the scores.
        notes: The inferences that were made, as sentences for the user.
    """

    text: str
    text_pair: str | None
    labels: tuple[str, ...]
    group: str | None = None
    split: str | None = None
    slices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of text."""
        return (self.text,) if self.text_pair is None else (self.text, self.text_pair)

    @property
    def all(self) -> tuple[str, ...]:
        """Every column in use."""
        return tuple(
            c
            for c in (*self.texts, *self.labels, self.group, self.split, *self.slices)
            if c is not None
        )

    @property
    def label_text(self) -> str:
        """The label columns, for people."""
        return ", ".join(map(repr, self.labels))


def map_columns(
    source: Source,
    task: Task,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    slice_columns: str | None = None,
) -> ColumnMapping:
    """Find the columns.

    Unless the user names them, the text and label columns are inferred if only one column
    qualifies: the only one with a usual name or, for the text, the only one left.

    Args:
        source: The training data.
        task: Knows the usual names and checks the columns.
        text_column: The column of the text.
        text_pair_column: The column of the second text.
        label_column: The column of the label; several, separated by commas, are one 0/1 column
            per label.
        group_column: The column by which rows are grouped; a group stays in one split.
        split_column: The column that names each row's split.
        slice_columns: The columns by which to break down the scores, separated by commas.

    Raises:
        InputError: If a named column is missing, is used twice, or cannot be inferred.
    """
    labels = _listed(source, label_column)
    slices = tuple(dict.fromkeys(_listed(source, slice_columns)))
    named = {
        "text_column": text_column,
        "text_pair_column": text_pair_column,
        "group_column": group_column,
        "split_column": split_column,
    }
    listed = [("label_column", name) for name in labels]
    listed += [("slice_columns", name) for name in slices]
    for parameter, name in [*named.items(), *listed]:
        if name is not None and name not in source.columns:
            if source.unnamed:
                raise no_names(source.name, source.columns, source.unnamed)
            raise _no_such_column(source, parameter, name)
    taken = [name for name in (text_column, text_pair_column, *labels) if name is not None]
    if twice := [name for name in taken if taken.count(name) > 1]:
        raise InputError(
            f"column '{twice[0]}' is named twice",
            where="text_column, text_pair_column, label_column",
            expected="a different column for each",
            remedy="name different columns of " + _list(source),
        )
    taken += [name for name in (group_column, split_column, *slices) if name is not None]
    if source.unnamed and (text_column is None or not labels):
        raise no_names(source.name, source.columns, source.unnamed)
    notes = []
    if not labels:
        _refuse_answers(source)
        guess, why = _guess(source, task, "label_column", taken)
        labels = (guess,)
        notes.append(f"using column '{guess}' as label: {why}")
        taken.append(guess)
    pair = pair_among([n for n in source.columns if n not in taken]) if task.takes_pairs else None
    if text_column is None and text_pair_column is None and pair is not None:
        text_column, text_pair_column = pair
        notes.append(
            f"using columns '{pair[0]}' and '{pair[1]}' as a pair of texts: their usual names;"
            f" --text-column {pair[0]} uses only the first"
        )
    if text_column is None:
        text_column, why = _guess(source, task, "text_column", taken)
        notes.append(f"using column '{text_column}' as text: {why}")
    task.check_columns(labels, text_pair_column)
    return ColumnMapping(
        text_column, text_pair_column, labels, group_column, split_column, slices, tuple(notes)
    )


def _refuse_answers(source: Source) -> None:
    """Refuse question answering data, whose answers are spans of a text: no task trains on it.

    Raises:
        InputError: If the source has such data, flat or nested as in SQuAD.
    """
    names = set(source.columns)
    if names >= ANSWERS or "paragraphs" in names:
        raise InputError(
            "the data is for question answering: its answers are spans of a context",
            where=source.name,
            expected=f"data for one of the tasks {', '.join(TASKS)}; to classify questions, use"
            " them as texts, or a question and a sentence as a pair of texts",
            remedy="use data with a label in every row",
        )


def _listed(source: Source, value: str | None) -> tuple[str, ...]:
    """The columns that a parameter names: several, or one whose name may contain a comma."""
    if value is None:
        return ()
    if value in source.columns or "," not in value:
        return (value,)
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    return names or (value,)


def _guess(source: Source, task: Task, parameter: str, taken: list[str]) -> tuple[str, str]:
    texts = parameter == "text_column"
    usual = task.text_columns if texts else task.label_columns
    free = [name for name in source.columns if name not in taken]
    candidates = matching(free, usual)
    why = "the only one with a usual name"
    if not candidates and texts:
        candidates, why = free, "the only one left"
    if len(candidates) == 1:
        return candidates[0], why
    if len(source.columns) == 1:
        raise InputError(
            f"there is only one column: {_samples(source)}",
            where=source.name,
            expected="a column for the text and one for the label",
            remedy="check --delimiter, and that this is the right file",
        )
    flag = "--" + parameter.replace("_", "-")
    others = task.label_columns if texts else task.text_columns
    likely = candidates or [n for n in free if not matching([n], others)] or free or source.columns
    likely = likely if texts or candidates else sorted(likely, key=_distinct(source))
    raise InputError(
        f"cannot infer the {parameter.removesuffix('_column')} column: "
        + (
            f"several qualify ({', '.join(map(repr, candidates))})"
            if candidates
            else "none has a usual name"
        ),
        where=source.name,
        expected=f"{parameter} to name one of {_samples(source)}",
        remedy=f"if every word has a label: --task {task_of_lists().name}"
        if not task.reads_lists and _lists(source) > 1
        else f"{flag} {quote(likely[0])}",
    )


def _no_such_column(source: Source, parameter: str, name: str) -> InputError:
    near = difflib.get_close_matches(name, source.columns, n=1)
    flag = "--" + parameter.replace("_", "-")
    needless = parameter not in ("text_column", "label_column")
    return InputError(
        f"there is no column '{name}'",
        where=f"{source.name} ({parameter})",
        expected="one of " + _list(source),
        remedy=f"{flag} {quote(near[0])}"
        if near
        else f"name one of these with {flag}" + ", or omit the option" * needless,
    )


def _list(source: Source) -> str:
    return ", ".join(map(repr, source.columns))


def _samples(source: Source) -> str:
    first = next(iter(source.read())).columns
    return ", ".join(f"{name!r} (e.g. {_sample(values)!r})" for name, values in first.items())


def _distinct(source: Source) -> Callable[[str], int]:
    """The number of distinct values of a column in the first rows: labels repeat, texts do not."""
    first = next(iter(source.read())).columns
    return lambda name: len(set(map(str, first[name])))


def _lists(source: Source) -> int:
    """The number of columns that have lists in their first rows."""
    first = next(iter(source.read())).columns.values()
    return sum(any(isinstance(value, list) for value in values) for values in first)


def _sample(values: list[Any]) -> str:
    return str(next((value for value in values if value is not None), ""))[:40]
