"""Compute logits without dropout, in bfloat16 if that is faster with the same probabilities."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from kfp_finetune.components.finetune.precision import BFLOAT16, FLOAT32, decide, use_for_products
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.forward import forward
from kfp_finetune.components.tasks.registry import get_problem_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

Features = Mapping[str, Any]
# Largest allowed difference of a probability from its value in float32.
_TOLERANCE = 1e-2
# With fewer rows, tracing a second graph costs more time than it saves.
FEWEST_ROWS = 512
# At most this many rows are computed in both precisions.
_COMPARED = 64


class Forward:
    """Run a model on batches.

    Args:
        model: The model.
        precision: "float32"; "bfloat16", which `choose` uses if the probabilities agree with
            float32; or "auto", which uses bfloat16 only if the processor is also faster with it.
    """

    def __init__(self, model: Classifier, precision: str = "float32") -> None:
        self._type = get_problem_type(model.problem_type)
        self._forward = forward(model)
        # Without probabilities there is nothing to compare; GPUs have their own policy.
        exact = not self._type.has_probabilities or tf.config.list_physical_devices("GPU")
        self._wanted = FLOAT32 if exact else decide(precision, [])
        self.precision = FLOAT32

    def __call__(self, features: Features) -> NDArray[np.float32]:
        """The logits, float32, shape [batch, outputs], or for tokens [batch, width, outputs]."""
        return self._run(features, self.precision)

    def choose(self, rows: int, batch_of: Callable[[slice], Features]) -> None:
        """Choose the precision for many rows.

        Args:
            rows: The number of rows.
            batch_of: Makes a batch of some of the rows, on which both precisions are compared.
        """
        if self._wanted == FLOAT32 or rows < FEWEST_ROWS or self.precision == BFLOAT16:
            return
        sample = batch_of(slice(None, None, -(-rows // _COMPARED)))
        low, exact = (
            self._type.probabilities(self._run(sample, precision))
            for precision in (BFLOAT16, FLOAT32)
        )
        real = np.asarray(sample["attention_mask"], bool) if low.ndim == 3 else slice(None)
        if float(np.abs(low - exact)[real].max()) <= _TOLERANCE:
            self.precision = BFLOAT16
        else:
            self._wanted = FLOAT32

    def _run(self, features: Features, precision: str) -> NDArray[np.float32]:
        with _products_in(precision):
            logits: NDArray[np.float32] = self._forward(features).numpy()
        return logits


@contextlib.contextmanager
def _products_in(precision: str) -> Iterator[None]:
    """Compute matrix products in this precision inside the `with` block.

    A graph keeps one executable for each precision.
    """
    options = tf.config.optimizer.get_experimental_options()
    use_for_products(precision)
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options(options)
