"""Read a dataset once: find its columns, labels, bad rows and splits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.assignment import assign, assign_to_test
from kfp_finetune.components.load_data.columns import ColumnMapping, map_columns
from kfp_finetune.components.load_data.opening import (
    Source,
    check_split,
    open_source,
    split_names,
)
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.load_data.readers.formats import DATA
from kfp_finetune.components.load_data.readers.json_lines import parse
from kfp_finetune.components.load_data.rows import (
    Rows,
    check_columns,
    in_rows,
    mark_invalid,
    read_rows,
)
from kfp_finetune.components.load_data.split_rows import SplitRows, source_of
from kfp_finetune.components.load_data.targets import Targets
from kfp_finetune.components.runtime import Progress
from kfp_finetune.components.storage.downloads import fetch
from kfp_finetune.components.storage.files import expand
from kfp_finetune.components.storage.uris import is_uri, without_secrets
from kfp_finetune.components.tasks.labels import LabelContext
from kfp_finetune.components.tasks.registry import get_task
from kfp_finetune.components.tasks.values import LabelValues, Values


@dataclass(frozen=True)
class Understood:
    """The results of reading a dataset once: everything except the token ids."""

    columns: ColumnMapping
    targets: Targets
    parts: dict[str, SplitRows]
    notes: list[str]
    warnings: list[str]

    def part_of(self, split: str) -> SplitRows:
        """The source that a split's rows come from."""
        return source_of(self.parts, split)


def understand(parameters: Parameters) -> Understood:
    """Read every source once, for training.

    Raises:
        InputError: If the data or its columns are wrong.
    """
    notes: list[str] = []
    sources = _open_sources(parameters, notes.append)
    warnings = _left_out(parameters, sources)
    for source in sources.values():
        notes.extend(source.notes)
        warnings.extend(source.warnings)
    task = get_task(parameters.task)
    columns = map_columns(
        sources["train"],
        task,
        parameters.text_column,
        parameters.text_pair_column,
        parameters.label_column,
        parameters.group_column,
        parameters.split_column,
        parameters.slice_columns,
    )
    notes.extend(columns.notes)
    for source in sources.values():
        check_columns(source, columns, sources["train"])
    known = read_label_names(parameters.label_names) if parameters.label_names else None
    labels = task.label_values(known or (), repair=parameters.repair)
    splits = Values()
    rows = {
        name: _read_rows(source, columns, labels, splits, name) for name, source in sources.items()
    }
    declared = sources["train"].label_names.get(columns.labels[0])
    understood = task.understand_labels(
        labels,
        parameters.problem_type,
        LabelContext(
            columns=columns.labels,
            declared=declared,
            known=known,
            rows_of=lambda numbers: _rows_with(numbers, rows.values()),
            counts=_counts(rows.values(), labels),
            decimal_comma=any(source.decimal_comma for source in sources.values()),
        ),
    )
    for part in rows.values():
        mark_invalid(part, understood, columns)
    if understood.note:
        notes.append(understood.note)
    targets = Targets(understood, columns.label_text)
    parts, found = assign(rows, targets, splits, parameters.splitting)
    warnings += [*understood.warnings, *found]
    return Understood(columns, targets, parts, _each_once(notes), _each_once(warnings))


def understand_for_evaluation(
    parameters: Parameters, label_names: list[str], problem_type: str
) -> Understood:
    """Read one source once, to evaluate a model on its rows.

    Raises:
        InputError: If the data or its columns are wrong, or the model does not have a label.
    """
    notes: list[str] = []
    options = parameters.read_options
    split = parameters.test_split
    if split is None and "test" in split_names(parameters.dataset, options):
        split = "test"
        notes.append("using the dataset's own test split")
    source = open_source(parameters.dataset, split or parameters.train_split, options)
    notes.extend(source.notes)
    task = get_task(parameters.task)
    columns = map_columns(
        source,
        task,
        parameters.text_column,
        parameters.text_pair_column,
        parameters.label_column,
        slice_columns=parameters.slice_columns,
    )
    notes.extend(columns.notes)
    # Numeric labels need --label-names: their order may differ from the model's.
    numbered = read_label_names(parameters.label_names) if parameters.label_names else []
    labels = task.label_values(numbered, repair=parameters.repair)
    rows = _read_rows(source, columns, labels, Values(), "test")
    understood = task.understand_labels(
        labels,
        problem_type,
        LabelContext(
            columns=columns.labels,
            known=label_names or None,
            known_from="score a model that was trained with them",
            numbered=numbered,
            rows_of=lambda numbers: _rows_with(numbers, [rows]),
            counts=_counts([rows], labels),
            decimal_comma=source.decimal_comma,
        ),
    )
    mark_invalid(rows, understood, columns)
    if understood.problem_type != problem_type:
        raise InputError(
            f"there are {len(columns.labels)} label columns",
            where=f"{source.name} (label_column)",
            expected=f"one label column: the model's problem type is {problem_type}",
            remedy=f"--label-column {columns.labels[0]}",
        )
    targets = Targets(understood, columns.label_text)
    parts, found = assign_to_test(rows, targets, parameters.splitting)
    warnings = [*source.warnings, *understood.warnings, *found]
    return Understood(columns, targets, parts, _each_once(notes), _each_once(warnings))


def _read_rows(
    source: Source, columns: ColumnMapping, labels: LabelValues, splits: Values, split: str
) -> Rows:
    """Read a source and show the progress."""
    progress = Progress("load_data", source.rows, "rows")
    return read_rows(
        source, columns, labels, splits, lambda done: progress.update(done, f"reading {split}")
    )


def _left_out(parameters: Parameters, opened: dict[str, Source]) -> list[str]:
    """A warning that names the splits of the dataset that are not read, with their rows."""
    options = parameters.read_options
    used = {source.name for source in opened.values()}
    found = []
    for split in split_names(parameters.dataset, options):
        try:
            source = open_source(parameters.dataset, split, options)
        except InputError:  # an unused split need not be readable
            found.append(split)
            continue
        if source.name not in used:
            rows = source.rows
            number = "" if rows is None else f" ({rows:,} row{'s' * (rows != 1)})"
            found.append(split + number)
    if not found:
        return []
    return [f"{without_secrets(parameters.dataset)}: unused splits: {', '.join(found)}"]


def _each_once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _counts(sources: Iterable[Rows], labels: LabelValues) -> list[int]:
    """Count the rows with each value of the label column."""
    counts = np.zeros(len(labels.values), np.int64)
    for rows in sources:
        counts += np.bincount(rows.labels, minlength=len(counts))
    found: list[int] = counts.tolist()
    return found


def _rows_with(numbers: Sequence[int], sources: Iterable[Rows]) -> str:
    """The rows with these values, in the first source that has any, for a message."""
    for rows in sources:
        found = np.flatnonzero(np.isin(rows.labels, numbers))
        if len(found):
            return f", {in_rows(found)} of {rows.source.name}"
    return ""


def read_label_names(path: str) -> list[str]:
    """Read the names of all labels in order, from a file with one per line or a JSON list.

    Raises:
        InputError: If the file cannot be read, is empty, or names a label twice.
    """
    try:
        file = fetch(path, DATA).path if is_uri(path) else expand(path)
        text = file.read_text(encoding="utf-8-sig")
        listed = parse(text) if path.endswith(".json") else text.split("\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise InputError(
            f"the label names cannot be read: {reason or error}",
            where=path,
            expected="a UTF-8 text file with one label per line, or a .json file with a list",
            remedy="check --label-names",
        ) from None
    if not isinstance(listed, list) or not all(isinstance(n, str | int) for n in listed):
        raise InputError(
            "the label names are not a list of names",
            where=path,
            expected='a JSON list, e.g. ["first", "second"]',
            remedy="repair the file, or write one label per line in a .txt file",
        )
    names = [str(name).strip() for name in listed if str(name).strip()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        found = f"{twice[0]!r} is named twice" if twice else "there are no label names"
        raise InputError(
            found,
            where=path,
            expected="every label once, one per line or in a JSON list",
            remedy="repair the file",
        )
    return names


def _open_sources(parameters: Parameters, note: Callable[[str], None]) -> dict[str, Source]:
    """Open the training data, and the validation and test data if given."""
    options = parameters.read_options
    declared = split_names(parameters.dataset, options)
    named = {
        "train": parameters.train_split,
        "validation": parameters.validation_split,
        "test": parameters.test_split,
    }
    own = {"validation": parameters.validation_dataset, "test": parameters.test_dataset}
    others = replace(options, dataset_revision=None)  # another Hub dataset: its newest revision
    if parameters.train_split != "train":
        check_split(parameters.dataset, parameters.train_split, declared, "train_split")
    opened = {"train": open_source(parameters.dataset, named["train"], options)}
    for split, path in own.items():
        if path is not None:
            try:
                opened[split] = open_source(
                    path,
                    named[split] or split,
                    options if path == parameters.dataset else others,
                )
            except InputError as error:
                error.where = f"{split}_dataset" if error.where == "dataset" else error.where
                raise
        elif (name := named[split]) or split in declared:
            if name:
                check_split(parameters.dataset, name, declared, f"{split}_split")
            opened[split] = open_source(parameters.dataset, name or split, options)
            if not name:
                note(f"using the dataset's own {split} split")
    return opened
