"""Where rows come from: local files and the Hugging Face Hub, read in batches of columns.

A source can be read more than once and is never held in memory: load_data reads it once to learn
the labels and once to tokenize.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError

ROWS_PER_BATCH = 1_000
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Source:
    """Rows with named columns.

    Attributes:
        name: For messages: the file's path, or the Hub id and split.
        columns: The columns' names, in order.
        read: Starts reading: batches of at most 1,000 rows, as a list of values per column.
        label_names: The names behind integer labels, by column, where the source declares them.
    """

    name: str
    columns: list[str]
    read: Callable[[], Iterator[Columns]]
    label_names: dict[str, list[str]] = field(default_factory=dict)


def open_source(
    dataset: str,
    *,
    split: str | None = None,
    config: str | None = None,
    revision: str | None = None,
) -> Source:
    """Open a local file, or one split of a dataset on the Hub or in a folder.

    Args:
        dataset: A path ending in .csv, .tsv, .jsonl or .parquet, a folder, or a Hub id.
        split: The split, of a folder or Hub id.
        config: The Hub dataset's configuration.
        revision: The Hub dataset's revision.

    Raises:
        InputError: If there is no such dataset, it is empty, or it cannot be read.
    """
    path = Path(dataset).expanduser()
    if path.is_file():
        return _open_file(path)
    if path.is_dir() or is_hub_id(dataset):
        return _open_with_datasets(dataset, split or "train", config, revision)
    raise InputError(
        f"there is no file {dataset}",
        where="dataset",
        expected=f"a file ({', '.join(SUFFIXES)}), a folder, or the id of a dataset on the Hub",
        remedy="check the path"
        if path.parent.is_dir()
        else f"check the path: {path.parent} is not there",
    )


def is_hub_id(dataset: str) -> bool:
    """Whether a name that is not on this disk can be a dataset on the Hub."""
    return bool(_HUB_ID.fullmatch(dataset)) and not dataset.endswith(SUFFIXES)


def split_names(dataset: str, config: str | None = None, revision: str | None = None) -> list[str]:
    """The splits that a dataset declares; a single file declares none."""
    if Path(dataset).expanduser().is_file() or not (
        Path(dataset).expanduser().is_dir() or is_hub_id(dataset)
    ):
        return []
    return sorted(_load_with_datasets(dataset, config, revision))


def _open_file(path: Path) -> Source:
    readers: dict[str, Callable[[], Iterator[Columns]]] = {
        ".csv": lambda: _read_csv(path, ","),
        ".tsv": lambda: _read_csv(path, "\t"),
        ".jsonl": lambda: _read_json_lines(path),
        ".parquet": lambda: _read_parquet(path),
    }
    if path.suffix.lower() not in readers:
        raise InputError(
            f"{path.name} is of a kind that is not read",
            where=str(path),
            expected="a file ending in " + ", ".join(SUFFIXES),
            remedy="convert it, or rename it to what it is",
        )
    read = readers[path.suffix.lower()]
    first = next(iter(read()), None)
    if first is None:
        raise InputError(
            "the file has no rows",
            where=str(path),
            expected="a header and at least one row"
            if path.suffix[1:] in ("csv", "tsv")
            else "rows",
            remedy="check that this is the right file",
        )
    return Source(name=str(path), columns=list(first), read=read)


def _read_csv(path: Path, delimiter: str) -> Iterator[Columns]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = next(reader, [])
            _check_header(path, header)
            row = 0
            while batch := list(islice(reader, ROWS_PER_BATCH)):
                batch = [cells for cells in batch if cells]  # a blank line is not a row
                for cells in batch:
                    row += 1
                    if len(cells) != len(header):
                        raise InputError(
                            f"row {row:,} has {len(cells)} cells, the header {len(header)}",
                            where=f"{path}, before line {reader.line_num + 1:,}",
                            expected="as many cells in every row as in the header",
                            remedy="quote cells that hold the delimiter or a quote",
                        )
                if batch:
                    yield {
                        name: list(values)
                        for name, values in zip(header, zip(*batch, strict=True), strict=True)
                    }
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from None
    except csv.Error as error:
        raise InputError(
            f"not valid CSV: {error}",
            where=f"{path}, line {reader.line_num:,}",
            expected='quotes closed, and doubled inside quoted cells: "say ""hi"""',
            remedy="mend the row",
        ) from None


def _check_header(path: Path, header: list[str]) -> None:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise InputError(
            "columns have the same name: " + ", ".join(map(repr, repeated)),
            where=f"{path}, header",
            expected="a name of its own for every column",
            remedy="rename them",
        )


def _read_json_lines(path: Path) -> Iterator[Columns]:
    columns: list[str] = []
    rows: list[dict[str, Any]] = []
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                row = _parse_object(path, number, line)
                columns = columns or list(row)
                rows.append(row)
                if len(rows) == ROWS_PER_BATCH:
                    yield {name: [row.get(name) for row in rows] for name in columns}
                    rows = []
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from None
    if rows:
        yield {name: [row.get(name) for row in rows] for name in columns}


def _parse_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        found = f"not valid JSON: {error}"
    else:
        if isinstance(row, dict):
            return row
        found = f"a {type(row).__name__}, not an object"
    raise InputError(
        found,
        where=f"{path}, line {number:,}",
        expected='one JSON object a line, e.g. {"text": "...", "label": "..."}',
        remedy="mend the line",
    )


def _read_parquet(path: Path) -> Iterator[Columns]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS_PER_BATCH):
                yield batch.to_pydict()
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"not valid Parquet: {error}",
            where=str(path),
            expected="a Parquet file",
            remedy="check that the file is whole",
        ) from None


def _not_utf8(path: Path, error: UnicodeDecodeError) -> InputError:
    return InputError(
        f"not UTF-8: {error.reason}",
        where=str(path),
        expected="text encoded as UTF-8",
        remedy="convert the file to UTF-8",
    )


def _load_with_datasets(dataset: str, config: str | None, revision: str | None) -> Any:
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        return datasets.load_dataset(dataset, config, revision=revision)
    except Exception as error:  # load_dataset raises whatever its builders and the network raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"the dataset cannot be loaded: {reason}",
            where=dataset,
            expected="a dataset on the Hub that this machine can reach, or a folder of data files",
            remedy="check the id, --dataset-config, --dataset-revision and the network; for a"
            " private dataset set HF_TOKEN",
        ) from error


def _open_with_datasets(
    dataset: str, split: str, config: str | None, revision: str | None
) -> Source:
    splits = _load_with_datasets(dataset, config, revision)
    if split not in splits:
        raise InputError(
            f"there is no split '{split}'",
            where=dataset,
            expected="one of " + ", ".join(sorted(splits)),
            remedy=f"--train-split {sorted(splits)[0]}",
        )
    rows = splits[split]
    if not len(rows):
        raise InputError("the split has no rows", where=f"{dataset}, split {split}")
    names = {
        column: list(feature.names)
        for column, feature in rows.features.items()
        if type(feature).__name__ == "ClassLabel"
    }
    return Source(
        name=f"{dataset}, split {split}",
        columns=list(rows.column_names),
        read=lambda: rows.iter(batch_size=ROWS_PER_BATCH),
        label_names=names,
    )
