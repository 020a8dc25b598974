"""Opening a dataset as a source of rows: local files, folders, URIs and the Hugging Face Hub.

A source can be read more than once and is never held in memory: load_data reads it once for the
labels and once to tokenize.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.conll import is_conll
from kfp_finetune.components.load_data.readers.delimiters import parse_delimiter
from kfp_finetune.components.load_data.readers.file_sets import FileSet
from kfp_finetune.components.load_data.readers.formats import (
    CONLL,
    DELIMITED,
    TEXT,
    Format,
    format_of,
    unknown_format,
)
from kfp_finetune.components.load_data.readers.header import no_names
from kfp_finetune.components.load_data.readers.hub import (
    hub_splits,
    open_hub,
    open_saved,
    saved_splits,
)
from kfp_finetune.components.load_data.readers.json_files import json_splits
from kfp_finetune.components.load_data.readers.label_folders import open_label_folders
from kfp_finetune.components.load_data.readers.locations import locate
from kfp_finetune.components.load_data.readers.parallel import open_parallel
from kfp_finetune.components.load_data.readers.source import (
    Batch,
    Columns,
    ReadOptions,
    Source,
    check_options,
)
from kfp_finetune.components.load_data.readers.split_names import TRAIN, find_split, no_split
from kfp_finetune.components.load_data.readers.text_files import examine
from kfp_finetune.components.storage.files import File
from kfp_finetune.components.storage.uris import without_secrets

__all__ = [
    "Batch",
    "Columns",
    "ReadOptions",
    "Source",
    "check_split",
    "open_file",
    "open_source",
    "split_names",
]

_DEFAULTS = ReadOptions()
_MOST_NOTES = 5


def open_source(dataset: str, split: str | None = None, options: ReadOptions = _DEFAULTS) -> Source:
    """Open a dataset, or one split of it.

    Args:
        dataset: A file, a folder, a pattern such as "data/*.csv", a URI, or a Hub id.
        split: The split of a folder or Hub id, or the field of a JSON document, with dots between
            keys. None for "train".
        options: The options for reading.

    Raises:
        InputError: If the dataset or split does not exist, has no rows, or cannot be read.
    """
    _check(options)
    options = replace(options, split=split)
    found = locate(dataset, options.plain_text)
    if found.kind == "hub":
        return open_hub(dataset, options)
    if found.kind == "saved":
        return open_saved(found.folders[""], found.name, options)
    chosen = _choose(found, split)
    name = f"{found.name}, split {chosen}" if chosen else found.name
    if found.kind == "texts":
        return open_label_folders(found.folders[chosen], name, options)
    if found.kind == "parallel":
        source = open_parallel(found.parallel[chosen], options)
        return replace(source, notes=found.notes + source.notes)
    opened = [open_file(file, options) for file in found.files[chosen]]
    source = opened[0] if len(opened) == 1 else _joined(name, opened)
    return replace(
        source, notes=found.notes + source.notes, warnings=found.warnings + source.warnings
    )


def split_names(dataset: str, options: ReadOptions = _DEFAULTS) -> list[str]:
    """The splits that a dataset declares, sorted; none for most files.

    Raises:
        InputError: If the dataset does not exist, or cannot be read.
    """
    _check(options)
    found = locate(dataset, options.plain_text)
    if found.kind == "hub":
        return hub_splits(dataset, options)
    if found.kind == "saved":
        return saved_splits(found.folders[""], found.name)
    files = [file for part in found.files.values() for file in part]
    if not found.splits and files and (known := format_of(files[0].path)) and known.has_splits:
        return json_splits(files[0], options)
    return found.splits


def check_split(dataset: str, split: str, declared: list[str], parameter: str) -> None:
    """Check that a dataset has the split that the user named.

    A file without splits would return all of its rows under any name.

    Args:
        dataset: The name of the dataset.
        split: The name of the split.
        declared: The result of `split_names`.
        parameter: The parameter that names the split.

    Raises:
        InputError: If there is no such split.
    """
    if find_split(split, declared) is None:
        others = [name for name in declared if parameter == "train_split" or name != TRAIN]
        near = difflib.get_close_matches(split, declared, n=1) or others[:1]
        flag = f"--{parameter.replace('_', '-')}"
        raise InputError(
            f"there is no split '{split}'",
            where=f"{without_secrets(dataset)} ({parameter})",
            expected="one of " + ", ".join(declared)
            if declared
            else "a dataset with splits; this one has none",
            remedy=f"{flag} {near[0]}" if near else f"omit {flag}",
        )


def _check(options: ReadOptions) -> None:
    check_options(options)
    if options.delimiter is not None:
        parse_delimiter(options.delimiter)


def _choose(found: FileSet, split: str | None) -> str:
    """The name of the split in these files; "" if they have no splits."""
    if "" in {**found.files, **found.folders, **found.parallel}:
        return ""
    chosen = find_split(split or TRAIN, found.splits)
    if chosen is None:
        raise no_split(found.name, split or TRAIN, found.splits)
    return chosen


def open_file(file: File, options: ReadOptions = _DEFAULTS) -> Source:
    """Open one file, in the format that its suffix indicates.

    Args:
        file: The file.
        options: The options for reading.

    Raises:
        InputError: If it cannot be read, or has no rows.
    """
    return _format_for(file, options).open(file, options)


def _format_for(file: File, options: ReadOptions) -> Format:
    """The format of a file, from its suffix, the options and, for tagged words, its content."""
    found = format_of(file.path)
    if options.plain_text == "conll":
        if found in (None, TEXT):
            return CONLL
        if file.format == ".tsv" and is_conll(examine(file, options.encoding)):
            return CONLL
    if found is TEXT and options.plain_text == "table":
        return DELIMITED
    if found is None:
        raise unknown_format(file)
    return found


def _joined(name: str, sources: list[Source]) -> Source:
    """Join several files to one source."""
    first = sources[0]
    if unnamed := next((source for source in sources if source.unnamed), None):
        raise no_names(unnamed.name, unnamed.columns, unnamed.unnamed)
    for source in sources[1:]:
        if set(source.columns) != set(first.columns):
            raise InputError(
                f"the columns are {', '.join(map(repr, source.columns))}",
                where=source.name,
                expected=f"those of {first.name}: {', '.join(map(repr, first.columns))}",
                remedy="give the file the same columns, or remove it",
            )
        if source.label_names != first.label_names:
            raise InputError(
                "the file declares different label names, or the same names in a different order",
                where=source.name,
                expected=f"the label names declared by {first.name}",
                remedy="declare the same label names in all files, or remove this file",
            )

    def read() -> Iterator[Batch]:
        for source in sources:
            for batch in source.read():
                columns = {column: batch.columns[column] for column in first.columns}
                yield replace(batch, columns=columns)

    counts = [source.rows for source in sources if source.rows is not None]
    return Source(
        name=name,
        columns=first.columns,
        read=read,
        rows=sum(counts) if len(counts) == len(sources) else None,
        label_names=first.label_names,
        notes=_first_few([note for source in sources for note in source.notes]),
        warnings=_first_few([warning for source in sources for warning in source.warnings]),
        decimal_comma=any(source.decimal_comma for source in sources),
    )


def _first_few(texts: list[str]) -> tuple[str, ...]:
    if len(texts) > _MOST_NOTES:
        texts[_MOST_NOTES:] = [f"and {len(texts) - _MOST_NOTES:,} more like these"]
    return tuple(texts)
