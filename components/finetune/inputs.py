"""Padded batches of tokenized rows, copied from the memory-mapped file one batch at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.load_data.batches import step_batches
from kfp_finetune.components.tasks.list_column import ListColumn
from kfp_finetune.components.tasks.registry import get_task

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from kfp_finetune.components.finetune.vocabulary import UsedVocabulary
    from kfp_finetune.components.load_data.steps import StepPlan

# On a GPU, widths are multiples of this, which suits its matrix units. On a CPU this gains nothing,
# and padding would be a fifth of the work.
_ACCELERATOR_WIDTHS = 8
_BATCH_TOKENS = 2_048


class Rows:
    """The rows of a split, to be gathered into batches; their tokens stay in the file.

    Args:
        table: A split of a tokenized dataset, mapped into memory.
        data: The dataset's manifest.
        vocabulary: Maps token ids to those of a shrunken model; None: the tokenizer's ids are used.
        label_all_tokens: Whether all tokens of a labelled word get its label, not only the first.

    Attributes:
        labels: The targets, first dimension [rows], or [words] where words have labels (see the
            task's `targets`).
        lengths: Number of tokens of every row, shape [rows].
        numbers: Number of every row in its source, from 0, shape [rows].
        features: The names of the features that `batch` returns.
    """

    def __init__(
        self,
        table: pa.Table,
        data: TokenizedDatasetManifest,
        vocabulary: UsedVocabulary | None = None,
        *,
        label_all_tokens: bool = False,
    ) -> None:
        task = get_task(data.task)
        self.labels = task.targets(table["label"], data.problem_type, data.label_names)
        self.numbers: NDArray[np.int64] = table["row"].to_numpy()
        self._vocabulary = vocabulary
        self._pad = {"input_ids": data.pad_token_id, "token_type_ids": 0}
        self._columns = {n: ListColumn(table[n]) for n in self._pad if n in table.column_names}
        self.lengths = self._columns["input_ids"].lengths
        self.features = (*self._columns, "attention_mask")
        self._token_labels = task.token_labels(table["label"], data.label_names)
        self._label_all_tokens = label_all_tokens

    def batch(self, indices: NDArray[np.int64], width: int) -> dict[str, NDArray[np.int32]]:
        """Gather rows into one padded batch.

        Args:
            indices: Row numbers, shape [batch].
            width: Number of tokens of the longest of these rows, or more.

        Returns:
            `input_ids`, `attention_mask` and, if the tokenizer distinguishes two texts,
            `token_type_ids`: int32, shape [batch, width].
        """
        features = {
            name: column.padded(indices, width, self._pad[name])
            for name, column in self._columns.items()
        }
        if self._vocabulary is not None:
            features["input_ids"] = self._vocabulary.ids_of(features["input_ids"])
        inside = np.arange(width) < self.lengths[indices][:, np.newaxis]
        return features | {"attention_mask": inside.astype(np.int32)}

    def batch_labels(
        self, indices: NDArray[np.int64], width: int
    ) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """The labels of a batch, and their weights in the loss.

        Args:
            indices: Row numbers, shape [batch].
            width: Number of tokens of the longest of these rows, or more.

        Returns:
            Labels, and weights of 1. Where words have labels, both have the shape [batch, width],
            and tokens without a label have the weight 0.
        """
        if self._token_labels is None:
            return self.labels[indices], np.ones(len(indices), np.float32)
        return self._token_labels.batch(indices, width, all_tokens=self._label_all_tokens)

    @property
    def shapes(self) -> tuple[list[int | None], list[int | None]]:
        """The shapes of a row's labels and weights; None where a dimension varies."""
        return (list(self.labels.shape[1:]), []) if self._token_labels is None else ([None], [None])

    def gather(
        self, outputs: NDArray[np.float32], indices: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Select the outputs that are predictions, with the indices of their `labels`.

        Args:
            outputs: Shape [batch, outputs], or [batch, width, outputs] where words have labels.
            indices: Row numbers of the batch, shape [batch].
        """
        if self._token_labels is None:
            return indices, outputs
        return self._token_labels.gather(outputs, indices)


@dataclass(frozen=True)
class Batch:
    """The rows of one step, for messages.

    Attributes:
        rows: Numbers of the rows in their source, from 0.
        width: Number of tokens of the longest row, padded.
    """

    rows: NDArray[np.int64]
    width: int

    def __str__(self) -> str:
        """Size and row numbers, counted from 1 as in all messages."""
        shown = ", ".join(f"{row + 1:,}" for row in self.rows)
        return f"{len(self.rows)} rows × {self.width} tokens: rows {shown}"


def batch_of_step(rows: Rows, plan: StepPlan, seed: int, step: int) -> Batch:
    """The batch of step `step`, counted from 0."""
    indices = np.concatenate(next(step_batches(rows.lengths, plan, seed, step)))
    return Batch(rows.numbers[indices], _width(rows, indices))


def training_dataset(rows: Rows, plan: StepPlan, seed: int, start: int = 0) -> Any:
    """All steps of the run starting with step `start`, one element per step.

    Returns:
        A dataset of dictionaries: `features` (each of shape [group, batch, width]), `labels` and
        `weights` ([group, batch, ...]) and `rows` ([group, batch]), where group is the number of
        batches per step. A batch smaller than the others of its step is padded with rows of
        weight 0. Within the scope of a `tf.distribute` strategy it is a distributed dataset: each
        replica gets its share of the rows of every batch, padded to equal shares.
    """
    # Without accumulation the size is known, so that the step is traced without a loop.
    size = 1 if plan.gradient_accumulation_steps == 1 else None
    groups = functools.partial(step_batches, rows.lengths, plan, seed, start)
    return _distributed(rows, groups, size)


def validation_dataset(rows: Rows, batch_size: int) -> tuple[Any, int]:
    """All rows once, sorted by length.

    Returns:
        A dataset as `training_dataset` returns it, in groups of one batch, and the number of
        batches, which Keras cannot read from a distributed dataset.
    """
    order = _by_length(rows)
    groups = [[order[at : at + batch_size]] for at in range(0, len(order), batch_size)]
    return _distributed(rows, lambda: iter(groups), 1), len(groups)


def _distributed(
    rows: Rows,
    groups: Callable[[], Iterator[list[NDArray[np.int64]]]],
    group_size: int | None,
) -> Any:
    """Groups of batches, each batch divided among the replicas of the strategy in scope.

    Args:
        rows: The rows of the split.
        groups: Returns an iterator over the groups.
        group_size: Number of batches in a group; None if it varies.
    """
    strategy = tf.distribute.get_strategy()
    return strategy.distribute_datasets_from_function(
        lambda context: _shares(rows, groups, group_size, context)
    )


def _shares(
    rows: Rows,
    groups: Callable[[], Iterator[list[NDArray[np.int64]]]],
    group_size: int | None,
    context: tf.distribute.InputContext,
) -> tf.data.Dataset:
    """The shares of this worker's replicas, one replica after the other."""
    replicas = context.num_replicas_in_sync
    own = replicas // context.num_input_pipelines
    first = own * context.input_pipeline_id

    def elements() -> Iterator[dict[str, Any]]:
        for group in groups():
            size = -(-max(len(batch) for batch in group) // replicas) * replicas
            filled = np.zeros((len(group), size), np.int64)
            weights = np.zeros((len(group), size), np.float32)
            for i, batch in enumerate(group):
                filled[i, : len(batch)] = batch
                weights[i, : len(batch)] = 1
            # Widths must be equal too, so that each replica draws the same number of random numbers
            # for dropout and the state of one generator is that of all.
            width = _width(rows, filled)
            for replica in range(first, first + own):
                # Batches are sorted by length, so every n-th row makes equal shares of the work.
                share = filled[:, replica::replicas]
                features = rows.batch(share.reshape(-1), width)
                labels, counted = rows.batch_labels(share.reshape(-1), width)
                real = weights[:, replica::replicas].reshape(-1, *[1] * (counted.ndim - 1))
                yield {
                    "features": {n: v.reshape(*share.shape, width) for n, v in features.items()},
                    "labels": labels.reshape(*share.shape, *labels.shape[1:]),
                    "weights": (counted * real).reshape(*share.shape, *counted.shape[1:]),
                    "rows": share,
                }

    of_row, of_weight = rows.shapes
    signature = {
        "features": dict.fromkeys(rows.features, tf.TensorSpec([group_size, None, None], tf.int32)),
        "labels": tf.TensorSpec([group_size, None, *of_row], rows.labels.dtype),
        "weights": tf.TensorSpec([group_size, None, *of_weight], tf.float32),
        "rows": tf.TensorSpec([group_size, None], tf.int64),
    }
    # The length must be unknown: Keras would restart the dataset after that many steps.
    dataset = tf.data.Dataset.from_generator(elements, output_signature=signature)
    return dataset.prefetch(4 * own)


def _by_length(rows: Rows) -> NDArray[np.int64]:
    return np.argsort(rows.lengths, kind="stable").astype(np.int64)


def evaluation_dataset(rows: Rows, batch_size: int) -> tuple[tf.data.Dataset, NDArray[np.int64]]:
    """All rows once, sorted by length to keep padding small.

    Args:
        rows: The rows of a split.
        batch_size: Rows per batch; more if they are short, see `batches_of`.

    Returns:
        A dataset of features as `Rows.batch` returns them, and the row numbers in the order of the
        dataset, shape [rows].
    """
    order = _by_length(rows)

    def batches() -> Iterator[dict[str, NDArray[np.int32]]]:
        for part in batches_of(rows.lengths[order], batch_size):
            yield rows.batch(order[part], _width(rows, order[part]))

    signature = dict.fromkeys(rows.features, tf.TensorSpec([None, None], tf.int32))
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(4), order


def batches_of(lengths: NDArray[np.int64], batch_size: int) -> Iterator[slice]:
    """Divide rows that are sorted by length into batches, for a pass without gradients.

    Batches of short rows are larger, because matrix products of few tokens underuse a processor.

    Args:
        lengths: Number of tokens of every row, ascending, shape [rows].
        batch_size: Rows per batch, if these have at least `_BATCH_TOKENS` tokens together.
    """
    start = 0
    while start < len(lengths):
        end = start + batch_size
        while end < len(lengths) and (end + 1 - start) * int(lengths[end]) <= _BATCH_TOKENS:
            end += 1
        yield slice(start, min(end, len(lengths)))
        start = end


def _width(rows: Rows, indices: NDArray[np.int64]) -> int:
    return padded_width(int(rows.lengths[indices].max()))


def padded_width(longest: int) -> int:
    """The width of a batch on this machine, given the number of tokens of its longest row."""
    multiple = _ACCELERATOR_WIDTHS if tf.config.list_physical_devices("GPU") else 1
    return -(-longest // multiple) * multiple
