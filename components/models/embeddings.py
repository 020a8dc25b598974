"""Embedding tables."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf


class Embedding(keras.layers.Layer):
    """A table of vectors, one row per id.

    Args:
        rows: Number of ids.
        width: Width of a vector.
        name: The layer's name in the paths of its variables.

    Attributes:
        fixed: The id whose row is not trained, like `padding_idx` of `torch.nn.Embedding`, or None.
            It only matters in models in which a token's state depends on padding.
        table: Shape [rows, width].
    """

    TORCH: ClassVar[dict[str, tuple[str, tuple[int, ...] | None]]] = {"table": ("weight", None)}

    def __init__(self, rows: int, width: int, name: str | None = None) -> None:
        super().__init__(name=name)
        self.fixed: int | None = None
        self.table = self.add_weight(shape=(rows, width), initializer="zeros", name="table")
        self.built = True

    def call(self, ids: Any) -> Any:
        """Map ids of any shape to vectors of shape [..., width]."""
        vectors = tf.gather(tf.convert_to_tensor(self.table), ids)
        if self.fixed is None:
            return vectors
        fixed = tf.equal(ids, self.fixed)[..., tf.newaxis]
        return tf.where(fixed, tf.stop_gradient(vectors), vectors)

    def first(self, count: Any) -> Any:
        """The first rows, shape [count, width]."""
        return tf.convert_to_tensor(self.table)[:count]

    def replace(self, table: Any) -> None:
        """Replace the table by a variable or a value of shape [any, width]."""
        self._tracker.unlock()
        self._untrack_variable(self.table)
        if isinstance(table, keras.Variable):
            self.table = table
        else:
            self.table = self.add_weight(
                shape=table.shape, initializer=lambda *_, **__: table, name="table"
            )
        self._tracker.lock()
