"""Tokenized rows as padded batches, in native tf.data: no Python touches a token in training."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.load_data.batches import updates
from kfp_finetune.components.tasks import get_task

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from kfp_finetune.components.load_data.steps import StepPlan

# Widths are multiples of this, so that there are few different ones and all suit the processor.
WIDTH_MULTIPLE = 8


class Rows:
    """The rows of a split, ready to be gathered into batches.

    Args:
        table: A split of a tokenized dataset.
        data: The dataset's manifest.

    Attributes:
        labels: What the loss takes, first dimension [rows] (see the task's `targets`).
        lengths: Tokens of every row, shape [rows].
        numbers: Every row's number in the source it was read from, from 0, shape [rows].
    """

    def __init__(self, table: pa.Table, data: TokenizedDatasetManifest) -> None:
        task = get_task(data.task)
        self.labels = task.targets(table["label"], data.problem_type, data.label_names)
        self.lengths: NDArray[np.int64] = np.zeros(0, np.int64)
        self.numbers: NDArray[np.int64] = table["row"].to_numpy()
        self._pad = {"input_ids": data.pad_token_id, "token_type_ids": 0}
        self._columns: dict[str, tf.RaggedTensor] = {}
        for name in self._pad:
            if name in table.column_names:
                column = table[name].combine_chunks()
                offsets = column.offsets.to_numpy().astype(np.int64)
                values = column.values.to_numpy()[offsets[0] : offsets[-1]]
                splits = offsets - offsets[0]
                self._columns[name] = tf.RaggedTensor.from_row_splits(values, splits)
                self.lengths = np.diff(splits)

    def batch(self, indices: tf.Tensor, longest: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Gather rows into one padded batch, in the graph.

        Args:
            indices: Row numbers, shape [batch].
            longest: Tokens of the longest row that the width is for; None: the longest of these.

        Returns:
            `input_ids`, `attention_mask` and, where the tokenizer tells two texts apart,
            `token_type_ids`: int32, shape [batch, width], where width is the length of the
            longest row, rounded up to a multiple of 8.
        """
        features = {}
        for name, column in self._columns.items():
            rows = tf.gather(column, indices)
            lengths = rows.row_lengths()
            width = tf.reduce_max(lengths) if longest is None else longest
            width = -(-width // WIDTH_MULTIPLE) * WIDTH_MULTIPLE
            shape = tf.stack([tf.size(indices, out_type=tf.int64), width])
            padded = rows.to_tensor(default_value=self._pad[name], shape=shape)
            features[name] = tf.ensure_shape(padded, [None, None])
            features["attention_mask"] = tf.sequence_mask(lengths, width, tf.int32)
        return features


@dataclass(frozen=True)
class Batch:
    """What one update is made from, for messages.

    Attributes:
        rows: The rows' numbers in their source, from 0.
        width: Tokens of the longest, padded.
    """

    rows: NDArray[np.int64]
    width: int

    def __str__(self) -> str:
        """Size and row numbers, from 1, as everywhere that a person reads them."""
        shown = ", ".join(f"{row + 1:,}" for row in self.rows)
        return f"{len(self.rows)} rows × {self.width} tokens: rows {shown}"


def batch_of_update(rows: Rows, plan: StepPlan, seed: int, step: int) -> Batch:
    """What update number `step`, counted from 0, is made from."""
    indices = np.concatenate(next(updates(rows.lengths, plan, seed, step)))
    width = -(-int(rows.lengths[indices].max()) // WIDTH_MULTIPLE) * WIDTH_MULTIPLE
    return Batch(rows.numbers[indices], width)


def training_dataset(rows: Rows, plan: StepPlan, seed: int, start: int = 0) -> Any:
    """The whole run's updates, from update `start` on, one element each.

    Returns:
        A dataset of dictionaries: `features` (each of shape [group, batch, width]), `labels`
        ([group, batch, ...]), `weights` and `rows` (each [group, batch]), where group is the number
        of batches that make the update. A batch that is smaller than the others of its update is
        filled up with rows of weight 0. Within the scope of a `tf.distribute` strategy it is a
        distributed dataset: of every batch, each replica gets its share of the rows, filled up to
        equal shares.
    """
    # Known without accumulation, so that the update is traced without a loop.
    size = 1 if plan.gradient_accumulation_steps == 1 else None
    groups = functools.partial(updates, rows.lengths, plan, seed, start)
    return _distributed(rows, groups, plan.num_train_steps - start, size)


def validation_dataset(rows: Rows, batch_size: int) -> tuple[Any, int]:
    """All rows once, sorted by length.

    Returns:
        A dataset as `training_dataset` returns it, in groups of one batch, and how many they are:
        Keras does not find that out of a distributed dataset.
    """
    order = _by_length(rows)
    groups = [[order[at : at + batch_size]] for at in range(0, len(order), batch_size)]
    return _distributed(rows, lambda: iter(groups), len(groups), 1), len(groups)


def _distributed(
    rows: Rows,
    groups: Callable[[], Iterator[list[NDArray[np.int64]]]],
    count: int,
    group_size: int | None,
) -> Any:
    """Batches by groups, each of them divided among the replicas of the strategy in scope.

    Args:
        rows: Of the split.
        groups: Gives the groups, from the first on.
        count: How many there are.
        group_size: Batches of a group; None where they differ.
    """
    strategy = tf.distribute.get_strategy()
    return strategy.distribute_datasets_from_function(
        lambda context: _shares(rows, groups, count, group_size, context)
    )


def _shares(
    rows: Rows,
    groups: Callable[[], Iterator[list[NDArray[np.int64]]]],
    count: int,
    group_size: int | None,
    context: tf.distribute.InputContext,
) -> tf.data.Dataset:
    """The shares of this worker's replicas, which take them in turn."""
    replicas = context.num_replicas_in_sync
    own = replicas // context.num_input_pipelines
    first = own * context.input_pipeline_id

    def indices() -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], np.int64]]:
        for group in groups():
            size = -(-max(len(batch) for batch in group) // replicas) * replicas
            filled = np.zeros((len(group), size), np.int64)
            weights = np.zeros((len(group), size), np.float32)
            for i, batch in enumerate(group):
                filled[i, : len(batch)] = batch
                weights[i, : len(batch)] = 1
            # Equal widths, too: then each replica draws as many random numbers for its dropout, so
            # that all of their generators are in the state that one of them saves.
            longest = rows.lengths[filled].max()
            for replica in range(first, first + own):
                # Batches are sorted by length: one row in `replicas` makes equal work.
                yield filled[:, replica::replicas], weights[:, replica::replicas], longest

    labels = tf.constant(rows.labels)

    def element(indices: tf.Tensor, weights: tf.Tensor, longest: tf.Tensor) -> dict[str, Any]:
        flat = rows.batch(tf.reshape(indices, [-1]), longest)
        shape = tf.shape(indices)
        features = {
            name: tf.reshape(value, [group_size or shape[0], shape[1], tf.shape(value)[1]])
            for name, value in flat.items()
        }
        return {
            "features": features,
            "labels": tf.gather(labels, indices),
            "weights": weights,
            "rows": indices,
        }

    signature = (
        tf.TensorSpec([group_size, None], tf.int64),
        tf.TensorSpec([group_size, None], tf.float32),
        tf.TensorSpec([], tf.int64),
    )
    dataset = tf.data.Dataset.from_generator(indices, output_signature=signature)
    dataset = dataset.map(element, num_parallel_calls=1, deterministic=True)
    return dataset.apply(tf.data.experimental.assert_cardinality(own * count)).prefetch(4 * own)


def _by_length(rows: Rows) -> NDArray[np.int64]:
    return np.argsort(rows.lengths, kind="stable").astype(np.int64)


def evaluation_dataset(rows: Rows, batch_size: int) -> tuple[tf.data.Dataset, NDArray[np.int64]]:
    """All rows once, sorted by length so that little is padding.

    Returns:
        A dataset of (features, labels) batches, and the row number of every row in the order the
        dataset gives them, shape [rows].
    """
    order = _by_length(rows)
    labels = tf.constant(rows.labels)
    dataset = (
        tf.data.Dataset.from_tensor_slices(order)
        .batch(batch_size)
        .map(lambda indices: (rows.batch(indices), tf.gather(labels, indices)))
        .prefetch(4)
    )
    return dataset, order
