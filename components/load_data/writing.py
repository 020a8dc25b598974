"""Tokenizing the rows of every source, batch by batch, into the files of their splits.

A source is read once; while the tokenizer works on one batch in all processors, the one before it
is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.artifacts.data_report import Example
from kfp_finetune.components.artifacts.tokenized_dataset import SPLITS
from kfp_finetune.components.load_data.assignment import LEFT_OUT, Assigned
from kfp_finetune.components.load_data.columns import ColumnMapping
from kfp_finetune.components.load_data.targets import Targets
from kfp_finetune.components.load_data.tokenization import Tokenize, Tokens
from kfp_finetune.components.runtime import Progress
from kfp_finetune.components.tasks.problem_types import MULTI_LABEL
from kfp_finetune.components.tasks.text_classification import label_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
            )
            for split in SPLITS
        }
        with artifact.split_writers(path, schemas) as writers:
            for part in parts:
                for rows, texts, tokens in self._tokenized(part):
                    columns = self._columns_of(part, rows, texts, tokens)
                    for number in np.unique(part.split[rows]).tolist():
                        split = SPLITS[number]
                        chosen = np.flatnonzero(part.split[rows] == number).tolist()
                        own = {
                            field.name: [columns[field.name][i] for i in chosen]
                            for field in schemas[split]
                        }
                        arrays = [pa.array(own[f.name], f.type) for f in schemas[split]]
                        writers[split].write_batch(
                            pa.RecordBatch.from_arrays(arrays, schema=schemas[split])
                        )
                        self._remember(split, columns, chosen)
                        self.rows[split] += len(chosen)
                    self._progress.update(sum(self.rows.values()))

    def _tokenized(
        self, part: Assigned
    ) -> Iterator[tuple[NDArray[np.int64], list[list[str]], Tokens]]:
        """Batches of rows that go to a split: their numbers, their texts, their token ids."""
        with ThreadPoolExecutor(max_workers=1) as tokenizer:
            waiting: tuple[NDArray[np.int64], list[list[str]], Future[Tokens]] | None = None
            start = 0
            for batch in part.rows.source.read():
                size = len(batch)
                chosen = np.flatnonzero(part.split[start : start + size] != LEFT_OUT)
                texts = [
                    [batch.columns[column][i] for i in chosen.tolist()]
                    for column in self._columns.texts
                ]
                if len(chosen):
                    future = tokenizer.submit(self._tokenize, *texts)
                    if waiting:
                        yield waiting[0], waiting[1], waiting[2].result()
                    waiting = chosen + start, texts, future
                start += size
            if waiting:
                yield waiting[0], waiting[1], waiting[2].result()

    def _columns_of(
        self, part: Assigned, rows: NDArray[np.int64], texts: list[list[str]], tokens: Tokens
    ) -> dict[str, Any]:
        return {
            "row": rows,
            "label": self._targets.of(part.rows.labels[rows]),
            "input_ids": tokens.input_ids,
            "token_type_ids": tokens.token_type_ids,
            "text": texts[0],
            "text_pair": texts[1] if len(texts) > 1 else None,
        }

    def _remember(self, split: str, columns: dict[str, Any], chosen: list[int]) -> None:
        labels = self._targets.labels
        for i in chosen[: _EXAMPLES_PER_SPLIT - len(self._examples[split])]:
            target = columns["label"][i]
            if labels.problem_type == MULTI_LABEL:
                label = ", ".join(labels.names[t] for t in target) or "none"
            else:
                label = labels.names[target] if labels.names else f"{target:g}"
            pair = columns["text_pair"]
            self._examples[split].append(
                Example(
                    split=split,
                    row=int(columns["row"][i]) + 1,
                    text=columns["text"][i][:_EXAMPLE_LENGTH],
                    text_pair=pair[i][:_EXAMPLE_LENGTH] if pair else None,
                    label=label,
                )
            )
