"""Keras metrics of words during training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from keras import metrics

from kfp_finetune.components.tasks.label_metrics import CountedF1
from kfp_finetune.components.tasks.token_classification.tags import parse


class WordAccuracy(metrics.SparseCategoricalAccuracy):
    """The share of words whose label is predicted.

    Keras' own metric averages over each row first, and then over the rows.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch; arguments as in `EntityF1.update_state`."""
        logits = tf.reshape(y_pred, [-1, y_pred.shape[-1]])
        super().update_state(_flat(y_true), logits, _flat(sample_weight))


class EntityF1(CountedF1):
    """Strict F1 of entities from logits: exact span and type.

    As in seqeval's strict mode, no entity can start with an I- tag. Shapes do not depend on values,
    so that it can be compiled.

    Args:
        label_names: Tags of IOB2.
        average: "micro": over all entities together, named `f1`. "macro": the mean over the types
            that occur or are predicted, named `macro_f1`.
    """

    def __init__(
        self, label_names: Sequence[str], average: Literal["micro", "macro"] = "micro"
    ) -> None:
        parsed = [parse(name) for name in label_names]
        kinds = ["", *sorted({kind for _, kind in parsed} - {""})]
        super().__init__("f1" if average == "micro" else "macro_f1", average, len(kinds))
        self._begins = np.array([letter == "B" for letter, _ in parsed])
        self._inside = np.array([letter == "I" for letter, _ in parsed])
        self._kind = np.array([kinds.index(kind) for _, kind in parsed], np.int32)
        self._num_kinds = len(kinds)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any) -> None:
        """Count a batch.

        Args:
            y_true: Label ids, shape [batch, tokens].
            y_pred: Logits, shape [batch, tokens, labels].
            sample_weight: Above 0 where a token has a label, shape [batch, tokens].
        """
        labelled = tf.cast(sample_weight, tf.float32) > 0
        # Move the words of every row to its start, without gaps.
        order = tf.argsort(tf.cast(labelled, tf.int32), 1, "DESCENDING", stable=True)
        present = tf.gather(labelled, order, batch_dims=1)

        def of(ids: Any) -> tuple[Any, Any, Any]:
            """Which words begin an entity, which continue the previous word, and their types."""
            ids = tf.gather(ids, order, batch_dims=1)
            kind = tf.where(present, tf.gather(self._kind, ids), 0)
            before = tf.pad(kind[:, :-1], [[0, 0], [1, 0]])
            continues = tf.gather(self._inside, ids) & present & (kind == before) & (kind > 0)
            return _flat(tf.gather(self._begins, ids) & present), _flat(continues), _flat(kind)

        begins, continues, kind = of(tf.cast(y_true, tf.int32))
        given_begins, given_continues, given_kind = of(tf.argmax(y_pred, -1, tf.int32))
        # An entity is correct if both begin here and end with the same word: at the next word that
        # does not continue one of them, the other is not continued either.
        stops = ~(continues & given_continues)
        number = tf.cumsum(tf.cast(stops, tf.int32))
        ends_alike = tf.math.unsorted_segment_max(
            tf.cast(stops & ~continues & ~given_continues, tf.int32), number, tf.size(number) + 2
        )
        last = tf.range(tf.size(ends_alike)) > number[-1]
        alike = tf.gather((ends_alike > 0) | last, number + 1)
        right = begins & given_begins & (kind == given_kind) & alike
        self.count(
            self._by_kind(right, kind),
            self._by_kind(begins, kind),
            self._by_kind(given_begins, given_kind),
        )

    def _by_kind(self, which: Any, kind: Any) -> Any:
        return tf.math.unsorted_segment_sum(tf.cast(which, tf.float32), kind, self._num_kinds)


def _flat(values: Any) -> Any:
    return tf.reshape(values, [-1])
