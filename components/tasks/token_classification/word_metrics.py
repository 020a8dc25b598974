"""What is measured on words while training, in the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import metrics

from kfp_finetune.components.tasks.token_classification.tags import parse


class WordAccuracy(metrics.SparseCategoricalAccuracy):
    """The share of words whose label is predicted.

    Keras' own averages over each row first and then over the rows.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch; arguments as `EntityF1.update_state` takes them."""
        logits = tf.reshape(y_pred, [-1, y_pred.shape[-1]])
        super().update_state(_flat(y_true), logits, _flat(sample_weight))


class EntityF1(metrics.Metric):
    """F1 of entities, over all of them, from logits: right are those with the very words and type.

    Strict, as seqeval's: an I that does not go on with an entity of its type begins none. Of shapes
    that do not depend on values, so that it can be compiled.

    Args:
        label_names: Tags of IOB2.
    """

    def __init__(self, label_names: Sequence[str]) -> None:
        super().__init__(name="f1")
        parsed = [parse(name) for name in label_names]
        kinds = ["", *sorted({kind for _, kind in parsed} - {""})]
        self._begins = np.array([letter == "B" for letter, _ in parsed])
        self._inside = np.array([letter == "I" for letter, _ in parsed])
        self._kind = np.array([kinds.index(kind) for _, kind in parsed], np.int32)
        self._right = self.add_weight(name="right", initializer="zeros")
        self._all = self.add_weight(name="all", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any) -> None:
        """Count a batch.

        Args:
            y_true: Label ids, shape [batch, tokens].
            y_pred: Logits, shape [batch, tokens, labels].
            sample_weight: Above 0 where a token has a label, shape [batch, tokens].
        """
        labelled = tf.cast(sample_weight, tf.float32) > 0
        # The words of every row without gaps; what is left over is at its end.
        order = tf.argsort(tf.cast(labelled, tf.int32), 1, "DESCENDING", stable=True)
        there = tf.gather(labelled, order, batch_dims=1)

        def of(ids: Any) -> tuple[Any, Any, Any]:
            """Which words begin an entity, which go on with the word before, and their types."""
            ids = tf.gather(ids, order, batch_dims=1)
            kind = tf.where(there, tf.gather(self._kind, ids), 0)
            before = tf.pad(kind[:, :-1], [[0, 0], [1, 0]])
            goes_on = tf.gather(self._inside, ids) & there & (kind == before) & (kind > 0)
            return _flat(tf.gather(self._begins, ids) & there), _flat(goes_on), _flat(kind)

        begins, goes_on, kind = of(tf.cast(y_true, tf.int32))
        said_begins, said_goes_on, said_kind = of(tf.argmax(y_pred, -1, tf.int32))
        # An entity is right if both begin here and end with the same word: if at the next word that
        # does not go on with one of them, it does not with the other.
        stops = ~(goes_on & said_goes_on)
        number = tf.cumsum(tf.cast(stops, tf.int32))
        ends_alike = tf.math.unsorted_segment_max(
            tf.cast(stops & ~goes_on & ~said_goes_on, tf.int32), number, tf.size(number) + 2
        )
        last = tf.range(tf.size(ends_alike)) > number[-1]
        alike = tf.gather((ends_alike > 0) | last, number + 1)
        right = begins & said_begins & (kind == said_kind) & alike
        self._right.assign_add(_count(right))
        self._all.assign_add(_count(begins) + _count(said_begins))

    def result(self) -> Any:
        """2 × right ÷ (true + predicted); 0 where there are none."""
        return tf.math.divide_no_nan(2 * self._right, self._all)


def _flat(values: Any) -> Any:
    return tf.reshape(values, [-1])


def _count(which: Any) -> Any:
    return tf.reduce_sum(tf.cast(which, tf.float32))
