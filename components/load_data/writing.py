"""Tokenizing the rows of every source, batch by batch, into the files of their splits.

A source is read once. While the tokenizer works on some batches in all processors, the ones after
them are read and the ones before them written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.artifacts.data_report import Example
from kfp_finetune.components.artifacts.tokenized_dataset import SPLITS
from kfp_finetune.components.load_data.assigned import LEFT_OUT, Assigned
from kfp_finetune.components.load_data.columns import ColumnMapping
from kfp_finetune.components.load_data.targets import Targets
from kfp_finetune.components.load_data.tokenization import Tokenize, Tokens
from kfp_finetune.components.runtime import Progress
from kfp_finetune.components.tasks.label_names import clean
from kfp_finetune.components.tasks.problem_types import MULTI_LABEL
from kfp_finetune.components.tasks.text_classification import label_type

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

# With two, the processors have work while Python takes out the ids of one.
_BATCHES_AT_ONCE = 2
_EXAMPLES_PER_SPLIT = 3
_EXAMPLE_LENGTH = 300


class DatasetWriter:
    """Writes the splits of a tokenized dataset.

    Attributes:
        rows: Rows written, by split.
        examples: The first few rows of each split.
    """

    def __init__(
        self, tokenize: Tokenize, columns: ColumnMapping, targets: Targets, progress: Progress
    ) -> None:
        self._tokenize = tokenize
        self._columns = columns
        self._targets = targets
        self._progress = progress
        self.rows = dict.fromkeys(SPLITS, 0)
        self._examples: dict[str, list[Example]] = {split: [] for split in SPLITS}

    @property
    def examples(self) -> list[Example]:
        """The first few rows of each split, in the order of the splits."""
        return [example for split in SPLITS for example in self._examples[split]]

    def write(self, path: Path, parts: Iterable[Assigned]) -> None:
        """Tokenize and write the rows of all parts that go to a split.

        Args:
            path: The tokenized dataset's folder.
            parts: The sources' rows.
        """
        import pyarrow as pa

        schemas = {
            split: artifact.schema(
                label=label_type(self._targets.labels.problem_type),
                has_token_type_ids=self._tokenize.has_token_type_ids,
                keep_text=split != "train",
                has_text_pair=self._columns.text_pair is not None,
                slice_columns=self._columns.slices,
            )
            for split in SPLITS
        }
        with artifact.split_writers(path, schemas) as writers:
            for part in parts:
                for rows, kept, tokens in self._tokenized(part):
                    labels = self._targets.of(part.rows.labels[rows])
                    columns = _columns(rows, labels, tokens, schemas["train"])
                    of_split = part.split[rows]
                    for number in np.unique(of_split).tolist():
                        split, schema = SPLITS[number], schemas[SPLITS[number]]
                        chosen = np.flatnonzero(of_split == number)
                        arrays = [column.take(pa.array(chosen)) for column in columns]
                        for cells, field in zip(kept, list(schema)[len(columns) :], strict=False):
                            arrays.append(pa.array([cells[i] for i in chosen.tolist()], field.type))
                        writers[split].write_batch(
                            pa.RecordBatch.from_arrays(arrays, schema=schema)
                        )
                        texts = kept[: len(self._columns.texts)]
                        self._remember(split, rows, labels, texts, chosen)
                        self.rows[split] += len(chosen)
                    self._progress.update(sum(self.rows.values()))

    def _tokenized(
        self, part: Assigned
    ) -> Iterator[tuple[NDArray[np.int64], list[list[Any]], Tokens]]:
        """Batches of rows that go to a split: their numbers, what is kept, their token ids."""
        waiting: deque[tuple[NDArray[np.int64], list[list[Any]], Future[list[Any]]]] = deque()
        with ThreadPoolExecutor(max_workers=_BATCHES_AT_ONCE) as encoders:
            start = 0
            for batch in part.rows.source.read():
                size = len(batch)
                chosen = np.flatnonzero(part.split[start : start + size] != LEFT_OUT)
                texts = [
                    [batch.columns[column][i] for i in chosen.tolist()]
                    for column in self._columns.texts
                ]
                if len(chosen):
                    future = encoders.submit(self._tokenize.encode, *texts)
                    slices = [
                        [_slice_value(batch.columns[column][i]) for i in chosen.tolist()]
                        for column in self._columns.slices
                    ]
                    waiting.append((chosen + start, texts + slices, future))
                start += size
                if len(waiting) > _BATCHES_AT_ONCE:
                    rows, kept, future = waiting.popleft()
                    yield rows, kept, self._tokenize.tokens(future.result())
            for rows, kept, future in waiting:
                yield rows, kept, self._tokenize.tokens(future.result())

    def _remember(
        self,
        split: str,
        rows: NDArray[np.int64],
        targets: list[Any],
        texts: list[list[str]],
        chosen: NDArray[np.int64],
    ) -> None:
        labels = self._targets.labels
        for i in chosen[: _EXAMPLES_PER_SPLIT - len(self._examples[split])].tolist():
            target = targets[i]
            if labels.problem_type == MULTI_LABEL:
                label = ", ".join(labels.names[t] for t in target) or "none"
            else:
                label = labels.names[target] if labels.names else f"{target:g}"
            self._examples[split].append(
                Example(
                    split=split,
                    row=int(rows[i]) + 1,
                    text=texts[0][i][:_EXAMPLE_LENGTH],
                    text_pair=texts[1][i][:_EXAMPLE_LENGTH] if len(texts) > 1 else None,
                    label=label,
                )
            )


def _slice_value(value: Any) -> str | None:
    value = clean(value)
    return None if value is None else str(value)


def _columns(
    rows: NDArray[np.int64], labels: list[Any], tokens: Tokens, schema: pa.Schema
) -> list[pa.Array]:
    """The columns that every split has, in the schema's order."""
    import pyarrow as pa

    columns = [pa.array(rows), pa.array(labels, schema.field("label").type)]
    for ids in (tokens.input_ids, tokens.token_type_ids):
        if ids is not None:
            columns.append(pa.ListArray.from_arrays(pa.array(tokens.starts), pa.array(ids)))
    return columns
