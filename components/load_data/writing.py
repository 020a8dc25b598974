"""Tokenizing the rows of one split, batch by batch, for its Arrow file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.load_data.columns import ColumnMapping
from kfp_finetune.components.load_data.rows import Part
from kfp_finetune.components.load_data.sources import Columns
from kfp_finetune.components.load_data.tokenization import Tokenize
from kfp_finetune.components.runtime import Progress

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


class SplitWriter:
    """Tokenizes the rows of one split after the other.

    Attributes:
        written: Rows tokenized so far, over all splits.
        truncated: How many of them were cut at max_length.
    """

    def __init__(self, tokenize: Tokenize, columns: ColumnMapping, progress: Progress) -> None:
        self._tokenize = tokenize
        self._columns = columns
        self._progress = progress
        self.written = 0
        self.truncated = 0

    def batches(self, part: Part, split: int, *, keep_text: bool) -> Iterator[pa.RecordBatch]:
        """Record batches of the part's rows that go to the split; one, empty, if none do."""
        import pyarrow as pa

        schema = artifact.schema(
            has_token_type_ids=self._tokenize.has_token_type_ids,
            keep_text=keep_text,
            has_text_pair=self._columns.text_pair is not None,
        )
        yield pa.RecordBatch.from_pylist([], schema)
        start = 0
        for batch in part.source.read():
            size = len(batch)
            chosen = np.flatnonzero(part.assignment[start : start + size] == split)
            if len(chosen):
                arrays = self._tokenized(batch.columns, chosen)
                arrays |= {"row": chosen + start, "label": part.labels[chosen + start]}
                yield pa.RecordBatch.from_arrays(
                    [pa.array(arrays[f.name], f.type) for f in schema], schema=schema
                )
                self.written += len(chosen)
                self._progress.update(self.written)
            start += size

    def _tokenized(self, batch: Columns, chosen: NDArray[np.int64]) -> dict[str, Any]:
        def values(column: str) -> list[str]:
            cells = batch[column]
            return [cells[i] for i in chosen]

        texts = values(self._columns.text)
        pairs = values(self._columns.text_pair) if self._columns.text_pair else None
        tokens = self._tokenize(texts, pairs)
        self.truncated += tokens.truncated
        return {
            "input_ids": tokens.input_ids,
            "token_type_ids": tokens.token_type_ids,
            "text": texts,
            "text_pair": pairs,
        }
