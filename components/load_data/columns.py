"""Which column is the text and which the label: named by the user, or guessed where unambiguous."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.sources import Source

# Names that datasets commonly use, most telling first.
_LABEL_NAMES = ("label", "labels", "category", "intent", "class", "target", "gold_label")
_TEXT_NAMES = ("text", "sentence", "utterance", "message", "content", "review", "question")


@dataclass(frozen=True)
class ColumnMapping:
    """The columns in use, and what was guessed about them, as sentences for the user."""

    text: str
    text_pair: str | None
    label: str
    notes: tuple[str, ...] = ()


def map_columns(
    source: Source,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
) -> ColumnMapping:
    """Find the text and label columns.

    A column that is not named is guessed where only one can be meant: the only column with a usual
    name, else the only column left over.

    Raises:
        InputError: If a named column is not there, one is used twice, or a guess is ambiguous.
    """
    notes = []
    for parameter, name in (
        ("text_column", text_column),
        ("text_pair_column", text_pair_column),
        ("label_column", label_column),
    ):
        if name is not None and name not in source.columns:
            raise _no_such_column(source, parameter, name)
    taken = [name for name in (text_column, text_pair_column, label_column) if name is not None]
    if len(set(taken)) < len(taken):
        raise InputError(
            f"one column is named twice: {', '.join(map(repr, taken))}",
            where="text_column, text_pair_column, label_column",
            expected="a different column for each",
            remedy="name the columns of " + _list(source),
        )
    if label_column is None:
        label_column = _guess(source, "label_column", _LABEL_NAMES, taken, leftovers=False)
        notes.append(f"using column '{label_column}' as label")
        taken.append(label_column)
    if text_column is None:
        text_column = _guess(source, "text_column", _TEXT_NAMES, taken, leftovers=True)
        notes.append(f"using column '{text_column}' as text")
    return ColumnMapping(text_column, text_pair_column, label_column, tuple(notes))


def _guess(
    source: Source, parameter: str, usual: tuple[str, ...], taken: list[str], *, leftovers: bool
) -> str:
    free = [name for name in source.columns if name not in taken]
    candidates = [name for name in free if name.lower() in usual]
    if not candidates and leftovers:
        candidates = free
    if len(candidates) == 1:
        return candidates[0]
    flag = "--" + parameter.replace("_", "-")
    raise InputError(
        f"it is not clear which column is the {parameter.removesuffix('_column')}: "
        + (", ".join(map(repr, candidates)) or "none has a usual name"),
        where=source.name,
        expected=f"{parameter} to name one of {_samples(source)}",
        remedy=f"{flag} {(candidates or source.columns)[0]}",
    )


def _no_such_column(source: Source, parameter: str, name: str) -> InputError:
    near = difflib.get_close_matches(name, source.columns, n=1) or source.columns[:1]
    return InputError(
        f"there is no column '{name}'",
        where=f"{source.name} ({parameter})",
        expected="one of " + _list(source),
        remedy=f"--{parameter.replace('_', '-')} {near[0]}",
    )


def _list(source: Source) -> str:
    return ", ".join(map(repr, source.columns))


def _samples(source: Source) -> str:
    first = next(source.read())
    at = next((i for i in range(len(first)) if i not in first.problems), 0)
    return ", ".join(
        f"{name!r} (e.g. {str(values[at])[:40]!r})" for name, values in first.columns.items()
    )
