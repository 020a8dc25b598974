"""Where rows come from: local files, folders, URIs and the Hugging Face Hub.

A source can be read more than once and is never held in memory: load_data reads it once to learn
the labels and once to tokenize.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.conll import is_conll, open_conll
from kfp_finetune.components.load_data.readers.delimited import open_delimited
from kfp_finetune.components.load_data.readers.delimiters import parse_delimiter
from kfp_finetune.components.load_data.readers.file_sets import FileSet
from kfp_finetune.components.load_data.readers.files import CONLL_FORMATS, FORMATS, File
from kfp_finetune.components.load_data.readers.header import no_names
from kfp_finetune.components.load_data.readers.hub import (
    hub_splits,
    no_split,
    open_hub,
    open_saved,
    saved_splits,
)
from kfp_finetune.components.load_data.readers.json_files import json_splits, open_json
from kfp_finetune.components.load_data.readers.json_lines import open_json_lines
from kfp_finetune.components.load_data.readers.label_folders import (
    open_label_file,
    open_label_folders,
)
from kfp_finetune.components.load_data.readers.locations import locate
from kfp_finetune.components.load_data.readers.parallel import open_parallel
from kfp_finetune.components.load_data.readers.source import (
    TRAIN,
    Batch,
    Columns,
    ReadOptions,
    Source,
    check_options,
    find_split,
)
from kfp_finetune.components.load_data.readers.tables import open_arrow, open_parquet
from kfp_finetune.components.load_data.readers.text_files import examine
from kfp_finetune.components.uris import without_secrets

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
        split: The split, where it has some: of a folder, of a Hub id, or the field of a JSON
            document, with dots between keys. None for "train".
        options: How it is read.

    Raises:
        InputError: If there is no such dataset or split, it has no rows, or it cannot be read.
    """
    _check(options)
    place = locate(dataset, options.plain_text)
    if place.kind == "hub":
        return open_hub(dataset, options, split)
    if place.kind == "saved":
        return open_saved(place.folders[""], place.name, split)
    chosen = _choose(place, split)
    name = f"{place.name}, split {chosen}" if chosen else place.name
    if place.kind == "texts":
        return open_label_folders(place.folders[chosen], name, options)
    if place.kind == "parallel":
        source = open_parallel(place.parallel[chosen], options)
        return replace(source, notes=place.notes + source.notes)
    opened = [open_file(file, options, split) for file in place.files[chosen]]
    source = opened[0] if len(opened) == 1 else _joined(name, opened)
    return replace(
        source, notes=place.notes + source.notes, warnings=place.warnings + source.warnings
    )


def split_names(dataset: str, options: ReadOptions = _DEFAULTS) -> list[str]:
    """The splits that a dataset declares, in order of their names; none for most files.

    Raises:
        InputError: If there is no such dataset, or it cannot be read.
    """
    _check(options)
    place = locate(dataset, options.plain_text)
    if place.kind == "hub":
        return hub_splits(dataset, options)
    if place.kind == "saved":
        return saved_splits(place.folders[""], place.name)
    files = [file for part in place.files.values() for file in part]
    if not place.splits and files and files[0].format == ".json":
        return json_splits(files[0], options)
    return place.splits


def check_split(dataset: str, split: str, declared: list[str], parameter: str) -> None:
    """Check that a dataset has a split that was asked for by name.

    A file without splits would give all of its rows under any name.

    Args:
        dataset: Its name.
        split: The split.
        declared: What `split_names` gives.
        parameter: Where the split was asked for.

    Raises:
        InputError: If it has not.
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
            else "the name of a split, and this dataset has none",
            remedy=f"{flag} {near[0]}" if near else f"omit {flag}",
        )


def _check(options: ReadOptions) -> None:
    check_options(options)
    if options.delimiter is not None:
        parse_delimiter(options.delimiter)


def _choose(place: FileSet, split: str | None) -> str:
    """The split of a place that is meant; "" where it has none."""
    found = {**place.files, **place.folders, **place.parallel}
    if "" in found:
        return ""
    chosen = find_split(split or TRAIN, place.splits)
    if chosen is None:
        raise no_split(place.name, split or TRAIN, place.splits)
    return chosen


def open_file(file: File, options: ReadOptions = _DEFAULTS, split: str | None = None) -> Source:
    """Open one file as its suffix says.

    Args:
        file: The file.
        options: How it is read.
        split: The field of a JSON document.

    Raises:
        InputError: If it cannot be read, or has no rows.
    """
    if file.format in CONLL_FORMATS or (options.plain_text == "conll" and _is_words(file, options)):
        return open_conll(file, options)
    if file.format in (".csv", ".tsv"):
        return open_delimited(file, options)
    if file.format == ".txt" and options.plain_text == "table":
        return open_delimited(file, options)
    if file.format in (".jsonl", ".ndjson"):
        return open_json_lines(file, options)
    if file.format == ".json":
        return open_json(file, options, split)
    if file.format == ".txt":
        return open_label_file(file, options)
    source = open_parquet(file) if file.format == ".parquet" else open_arrow(file)
    if options.column_names is None:
        return source
    note = f"{file.name} names its columns: column_names is not used"
    return replace(source, notes=(*source.notes, note))


def _is_words(file: File, options: ReadOptions) -> bool:
    """Whether a file of no format of its own, or a .tsv, has a word a line."""
    if file.format == ".tsv":
        return is_conll(examine(file, options.encoding))
    return file.format not in FORMATS or file.format == ".txt"


def _joined(name: str, sources: list[Source]) -> Source:
    """The rows of several files, one file after the other."""
    first = sources[0]
    if unnamed := next((source for source in sources if source.unnamed), None):
        raise no_names(unnamed.name, unnamed.columns, unnamed.unnamed)
    for source in sources[1:]:
        if set(source.columns) != set(first.columns):
            raise InputError(
                f"the columns are {', '.join(map(repr, source.columns))}",
                where=source.name,
                expected=f"those of {first.name}: {', '.join(map(repr, first.columns))}",
                remedy="give the file the same columns, or leave it out",
            )

        if source.label_names != first.label_names:
            raise InputError(
                "the file declares other label names, or in another order",
                where=source.name,
                expected=f"the label names that {first.name} declares",
                remedy="write the files again with the same labels, or leave this one out",
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
        texts[_MOST_NOTES:] = [f"and {len(texts) - _MOST_NOTES:,} notes like these"]
    return tuple(texts)
