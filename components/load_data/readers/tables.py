"""Tables with a schema: Parquet and Arrow files, and datasets of the datasets library."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.source import (
    ROWS_PER_BATCH,
    Batch,
    ReadOptions,
    Source,
    no_rows,
    unique_names,
)
from kfp_finetune.components.storage.files import File, readable
from kfp_finetune.components.storage.unpacking import decompressed


def open_parquet(file: File, _options: ReadOptions) -> Source:
    """Open a .parquet file; its rows are counted from the metadata.

    Raises:
        InputError: If it is not a complete Parquet file, or has no rows.
    """
    import pyarrow.parquet as pq

    path = decompressed(file)
    with _valid(file, "Parquet"), pq.ParquetFile(path) as opened:
        schema, rows = opened.schema_arrow, opened.metadata.num_rows

    def batches() -> Iterator[Any]:
        with _valid(file, "Parquet"), pq.ParquetFile(path) as opened:
            read = 0
            for batch in opened.iter_batches(batch_size=ROWS_PER_BATCH):
                read += batch.num_rows
                yield batch
            if read != rows:
                raise ValueError(f"its metadata counts {rows:,} rows, but it has {read:,}")

    return _source(file.name, schema, rows, batches)


def open_arrow(file: File, _options: ReadOptions) -> Source:
    """Open an .arrow file, in the file or the stream format.

    Raises:
        InputError: If it is not a complete Arrow file, or has no rows.
    """
    import pyarrow as pa

    path = decompressed(file)

    def batches() -> Iterator[Any]:
        with _valid(file, "Arrow"), ExitStack() as stack:
            mapped = stack.enter_context(pa.memory_map(str(path)))
            if mapped.read(6) == b"ARROW1":
                reader = stack.enter_context(pa.ipc.open_file(mapped))
                yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
            else:
                mapped.seek(0)
                yield from stack.enter_context(pa.ipc.open_stream(mapped))

    with _valid(file, "Arrow"), ExitStack() as stack:
        if not path.stat().st_size:
            raise no_rows(file.name)
        mapped = stack.enter_context(pa.memory_map(str(path)))
        is_file = mapped.read(6) == b"ARROW1"
        mapped.seek(0)
        reader = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(mapped)
        schema = stack.enter_context(reader).schema
    rows = sum(batch.num_rows for batch in batches())  # reads the headers, not the columns

    def valid_batches() -> Iterator[Any]:
        with _valid(file, "Arrow"):
            for batch in batches():
                _validate(batch)
                yield batch

    return _source(file.name, schema, rows, valid_batches)


def _validate(batch: Any) -> None:
    """Check the offsets in a batch: using wrong ones crashes the process.

    Raises:
        pyarrow.ArrowInvalid: If some are wrong.
    """
    import pyarrow as pa

    for column in batch.columns:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):  # such a text is a problem of its row only
                raise


def table_source(name: str, dataset: Any) -> Source:
    """A source of one split of the datasets library.

    Args:
        name: For messages.
        dataset: A `datasets.Dataset`.

    Raises:
        InputError: If it has no rows.
    """
    if not len(dataset):
        raise InputError(
            "the split has no rows",
            where=name,
            expected="rows",
            remedy="read another split: --train-split NAME",
        )
    arrow = dataset.with_format("arrow")  # neither images nor sounds are decoded

    def batches() -> Iterator[Any]:
        for table in arrow.iter(batch_size=ROWS_PER_BATCH):
            yield from table.to_batches()

    names = {column: _class_names(feature) for column, feature in dataset.features.items()}
    return Source(
        name=name,
        columns=list(dataset.column_names),
        read=lambda: _read(list(dataset.column_names), batches),
        rows=len(dataset),
        label_names={column: found for column, found in names.items() if found},
    )


def _class_names(feature: Any) -> list[str]:
    """The names of a ClassLabel, or of the ClassLabels in a list."""
    while not hasattr(feature, "names") and hasattr(feature, "feature"):
        feature = feature.feature
    if isinstance(feature, list) and len(feature) == 1:
        (feature,) = feature
    return list(feature.names) if type(feature).__name__ == "ClassLabel" else []


def _source(name: str, schema: Any, rows: int, batches: Callable[[], Iterator[Any]]) -> Source:
    if not rows or not len(schema.names):
        raise no_rows(name)
    columns, notes = unique_names(list(schema.names), name)
    return Source(
        name=name,
        columns=columns,
        read=lambda: _read(columns, batches),
        rows=rows,
        label_names=_declared(schema),
        notes=notes,
    )


def _declared(schema: Any) -> dict[str, list[str]]:
    """The label names that the datasets library stores in a schema's metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = {column: _declared_names(feature) for column, feature in features.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
    return {column: names for column, names in found.items() if names}


def _declared_names(feature: Any) -> list[str]:
    while isinstance(feature, dict) and "feature" in feature:
        feature = feature["feature"]
    if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
        return [str(name) for name in feature.get("names", [])]
    return []


def _read(columns: list[str], batches: Callable[[], Iterator[Any]]) -> Iterator[Batch]:
    for batch in batches():
        for start in range(0, batch.num_rows, ROWS_PER_BATCH):
            part = batch.slice(start, ROWS_PER_BATCH)
            try:
                cells = [column.to_pylist() for column in part.columns]
            except (ValueError, OverflowError):  # text that is not UTF-8, or times out of range
                yield _by_cells(columns, part)
            else:
                yield Batch(dict(zip(columns, cells, strict=True)))


def _by_cells(columns: list[str], part: Any) -> Batch:
    """Make a batch of columns with unreadable cells, whose rows are marked as problems."""
    problems: dict[int, str] = {}
    cells: list[list[Any]] = []
    for name, column in zip(columns, part.columns, strict=True):
        values: list[Any] = []
        for i, cell in enumerate(column):
            try:
                values.append(cell.as_py())
            except UnicodeDecodeError:
                values.append(None)
                problems.setdefault(i, f"text that is not UTF-8 in column '{name}'")
            except (ValueError, OverflowError):
                values.append(None)
                problems.setdefault(i, f"a value out of range in column '{name}'")
        cells.append(values)
    for values in cells:
        for i in problems:
            values[i] = None
    return Batch(dict(zip(columns, cells, strict=True)), problems)


@contextmanager
def _valid(file: File, kind: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        with readable(file):
            yield
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"not valid {kind}: {reason[0]}",
            where=file.name,
            expected=f"a complete {kind} file",
            remedy="check that the suffix is right; copy or download the file again",
        ) from None
