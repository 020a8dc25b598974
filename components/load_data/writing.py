"""Tokenize the rows of every source batch by batch, and write them to the files of their splits.

Each source is read once. While the tokenizer uses all processors for some batches, the batches
after them are read and those before them are written.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.artifacts.data_report import Example
from kfp_finetune.components.artifacts.tokenized_dataset import SPLITS
from kfp_finetune.components.load_data.columns import ColumnMapping
from kfp_finetune.components.load_data.rows import label_cells
from kfp_finetune.components.load_data.split_rows import LEFT_OUT, SplitRows
from kfp_finetune.components.load_data.targets import Targets
from kfp_finetune.components.runtime import Progress
from kfp_finetune.components.tasks.label_names import clean
from kfp_finetune.components.tasks.task import Task
from kfp_finetune.components.tasks.tokenization import Examples

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

# With two, the processors stay busy while Python collects the ids of one batch.
_BATCHES_AT_ONCE = 2
_EXAMPLES_PER_SPLIT = 3
_EXAMPLE_LENGTH = 300


class DatasetWriter:
    """Writes the splits of a tokenized dataset.

    Args:
        task: Defines how texts and labels are stored.
        tokenize: Makes examples of rows.
        columns: The columns in use.
        targets: The meaning of the labels.
        progress: Shows the number of rows written.

    Attributes:
        rows: Number of rows written, by split.
        examples: Number of examples written, by split.
        labels: Number of examples with each label, by split, shape [labels]; empty for regression.
        numbers: The targets of a regression, by split.
    """

    def __init__(
        self,
        task: Task,
        tokenize: Any,
        columns: ColumnMapping,
        targets: Targets,
        progress: Progress,
    ) -> None:
        self._task = task
        self._tokenize = tokenize
        self._columns = columns
        self._targets = targets
        self._progress = progress
        self.rows = dict.fromkeys(SPLITS, 0)
        self.examples = dict.fromkeys(SPLITS, 0)
        count = len(targets.labels.names)
        self.labels = {split: np.zeros(count, np.int64) for split in SPLITS}
        self.numbers = {split: array("d") for split in SPLITS}
        self._shown: dict[str, list[Example]] = {split: [] for split in SPLITS}

    @property
    def shown(self) -> list[Example]:
        """The first few rows of each split, in the order of the splits."""
        return [example for split in SPLITS for example in self._shown[split]]

    def write(self, path: Path, parts: Iterable[SplitRows]) -> None:
        """Tokenize and write the rows of all parts that go to a split.

        Args:
            path: The tokenized dataset's folder.
            parts: The rows of each source.
        """
        import pyarrow as pa

        schemas = {
            split: artifact.schema(
                label=self._task.label_type(self._targets.labels.problem_type),
                has_token_type_ids=self._tokenize.has_token_type_ids,
                # The training texts show which entities the model has seen.
                text=self._task.text_type()
                if split != "train" or self._task.keeps_training_texts
                else None,
                has_text_pair=self._columns.text_pair is not None,
                slice_columns=self._columns.slices if split != "train" else (),
            )
            for split in SPLITS
        }
        with artifact.split_writers(path, schemas) as writers:
            for part in parts:
                for rows, slices, examples in self._examples(part):
                    columns = _columns(rows, examples, schemas["train"])
                    of_split = part.split[rows]
                    for number in np.unique(of_split).tolist():
                        split, schema = SPLITS[number], schemas[SPLITS[number]]
                        chosen = np.flatnonzero(of_split[examples.of_row] == number)
                        arrays = [column.take(pa.array(chosen)) for column in columns]
                        of_row = examples.of_row[chosen].tolist()
                        kept = [[cells[i] for i in chosen.tolist()] for cells in examples.texts]
                        kept += [[cells[i] for i in of_row] for cells in slices]
                        for cells, field in zip(kept, list(schema)[len(columns) :], strict=False):
                            arrays.append(pa.array(cells, field.type))
                        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
                        writers[split].write_batch(batch)
                        self._count(split, rows, examples, chosen)
                        self.rows[split] += int(np.count_nonzero(of_split == number))
                    self._progress.update(sum(self.rows.values()))

    def _examples(
        self, part: SplitRows
    ) -> Iterator[tuple[NDArray[np.int64], list[list[Any]], Examples]]:
        """Batches of rows that go to a split: their numbers, slice columns and examples."""
        waiting: deque[tuple[NDArray[np.int64], list[list[Any]], Any, Future[Any]]] = deque()
        texts_first = len(self._columns.texts)

        def next_one() -> tuple[NDArray[np.int64], list[list[Any]], Examples]:
            rows, cells, labels, future = waiting.popleft()
            examples = self._tokenize.examples(future.result(), cells[:texts_first], labels)
            return rows, cells[texts_first:], examples

        with ThreadPoolExecutor(max_workers=_BATCHES_AT_ONCE) as encoders:
            start = 0
            for batch in part.rows.source.read():
                size = len(batch)
                chosen = np.flatnonzero(part.split[start : start + size] != LEFT_OUT)
                if len(chosen):
                    numbers = chosen.tolist()
                    texts = [[batch.columns[c][i] for i in numbers] for c in self._columns.texts]
                    slices = [
                        [_slice_value(batch.columns[c][i]) for i in numbers]
                        for c in self._columns.slices
                    ]
                    cells = label_cells(batch, part.rows.source, self._columns, start)
                    of_rows = part.rows.labels[chosen + start]
                    labels = self._targets.of(of_rows, [cells[i] for i in numbers])
                    future = encoders.submit(self._tokenize.encode, texts, labels)
                    waiting.append((chosen + start, texts + slices, labels, future))
                start += size
                if len(waiting) > _BATCHES_AT_ONCE:
                    yield next_one()
            while waiting:
                yield next_one()

    def _count(
        self,
        split: str,
        rows: NDArray[np.int64],
        examples: Examples,
        chosen: NDArray[np.int64],
    ) -> None:
        """Count examples and their labels, and keep the first few for the report."""
        self.examples[split] += len(chosen)
        names = self._targets.labels.names
        if names:
            labels = [examples.labels[i] for i in chosen.tolist()]
            one_each = isinstance(labels[0], int)
            flat = (
                np.array(labels) if one_each else np.array(list(chain.from_iterable(labels)), int)
            )
            self.labels[split] += np.bincount(flat[flat >= 0], minlength=len(names))
        else:
            self.numbers[split].extend(examples.labels[i] for i in chosen.tolist())
        shown = self._shown[split]
        for i in chosen[: _EXAMPLES_PER_SPLIT - len(shown)].tolist():
            texts = [cells[i] for cells in examples.texts]
            label = self._task.label_text(examples.labels[i], names, texts[0])
            text, *pair = (t if isinstance(t, str) else " ".join(t) for t in texts)
            shown.append(
                Example(
                    split=split,
                    row=int(rows[examples.of_row[i]]) + 1,
                    text=text[:_EXAMPLE_LENGTH],
                    text_pair=pair[0][:_EXAMPLE_LENGTH] if pair else None,
                    label=label,
                )
            )


def _slice_value(value: Any) -> str | None:
    value = clean(value)
    return None if value is None else str(value)


def _columns(rows: NDArray[np.int64], examples: Examples, schema: pa.Schema) -> list[pa.Array]:
    """The columns that every split has, in the schema's order."""
    import pyarrow as pa

    tokens = examples.tokens
    labels = pa.array(examples.labels, schema.field("label").type)
    columns = [pa.array(rows[examples.of_row]), labels]
    for ids in (tokens.input_ids, tokens.token_type_ids):
        if ids is not None:
            columns.append(pa.ListArray.from_arrays(pa.array(tokens.starts), pa.array(ids)))
    return columns
