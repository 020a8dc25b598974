"""Tokenizing the rows of one split after the other, batch by batch, for their Arrow files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.artifacts.data_report import Example
from kfp_finetune.components.artifacts.tokenized_dataset import SPLITS
from kfp_finetune.components.load_data.assignment import Assigned
from kfp_finetune.components.load_data.columns import ColumnMapping
from kfp_finetune.components.load_data.sources import Batch
from kfp_finetune.components.load_data.targets import Targets
from kfp_finetune.components.load_data.tokenization import Tokenize
from kfp_finetune.components.runtime import Progress
from kfp_finetune.components.tasks.labels import MULTI_LABEL
from kfp_finetune.components.tasks.text_classification import label_type

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_EXAMPLES_PER_SPLIT = 3
_EXAMPLE_LENGTH = 300


class SplitWriter:
    """Tokenizes the rows of one split after the other.

    Attributes:
        written: Rows tokenized so far, over all splits.
        examples: The first few rows of each split.
    """

    def __init__(
        self, tokenize: Tokenize, columns: ColumnMapping, targets: Targets, progress: Progress
    ) -> None:
        self._tokenize = tokenize
        self._columns = columns
        self._targets = targets
        self._progress = progress
        self.written = 0
        self.examples: list[Example] = []

    def batches(self, part: Assigned, split: str) -> Iterator[pa.RecordBatch]:
        """Record batches of the part's rows that go to the split; one, empty, if none do."""
        import pyarrow as pa

        schema = artifact.schema(
            label=label_type(self._targets.labels.problem_type),
            has_token_type_ids=self._tokenize.has_token_type_ids,
            keep_text=split != "train",
            has_text_pair=self._columns.text_pair is not None,
        )
        yield pa.RecordBatch.from_pylist([], schema)
        number = SPLITS.index(split)
        if not (part.split == number).any():
            return
        start = 0
        examples = 0
        for batch in part.rows.source.read():
            size = len(batch.columns[self._columns.text])
            chosen = np.flatnonzero(part.split[start : start + size] == number)
            if len(chosen):
                arrays = self._tokenized(batch, chosen)
                labels = self._targets.of(part.rows.labels[chosen + start])
                arrays |= {"row": chosen + start, "label": labels}
                yield pa.RecordBatch.from_arrays(
                    [pa.array(arrays[f.name], f.type) for f in schema], schema=schema
                )
                for i in range(min(_EXAMPLES_PER_SPLIT - examples, len(chosen))):
                    self.examples.append(self._example(split, arrays, i))
                    examples += 1
                self.written += len(chosen)
                self._progress.update(self.written, f"tokenizing {split}")
            start += size

    def _tokenized(self, batch: Batch, chosen: NDArray[np.int64]) -> dict[str, Any]:
        def values(column: str) -> list[str]:
            cells = batch.columns[column]
            return [cells[i] for i in chosen.tolist()]

        texts = values(self._columns.text)
        pairs = values(self._columns.text_pair) if self._columns.text_pair else None
        tokens = self._tokenize(texts, pairs)
        return {
            "input_ids": tokens.input_ids,
            "token_type_ids": tokens.token_type_ids,
            "text": texts,
            "text_pair": pairs,
        }

    def _example(self, split: str, arrays: dict[str, Any], i: int) -> Example:
        labels = self._targets.labels
        target = arrays["label"][i]
        if labels.problem_type == MULTI_LABEL:
            label = ", ".join(labels.names[t] for t in target) or "none"
        else:
            label = labels.names[target] if labels.names else f"{target:g}"
        pair = arrays["text_pair"]
        return Example(
            split=split,
            row=int(arrays["row"][i]) + 1,
            text=arrays["text"][i][:_EXAMPLE_LENGTH],
            text_pair=pair[i][:_EXAMPLE_LENGTH] if pair else None,
            label=label,
        )
