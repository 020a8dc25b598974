"""One step of a run, as a Keras model whose `fit` makes exactly the planned steps.

Under a `tf.distribute` strategy each replica computes its share of the rows. The shares add up to
the mean over all rows, so the number of replicas changes nothing but rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.finetune.history import LogRows

# The columns of `Trainer.step_log`.
LEARNING_RATE, LOSS, GRADIENT_NORM, EXAMPLES = range(4)
# Every replica writes its own copy of such a variable; all copies are equal.
_COPIES = {
    "trainable": False,
    "synchronization": tf.VariableSynchronization.ON_READ,
    "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
}


class Trainer(keras.Model):
    """A classifier that is trained one step at a time.

    `compile` and `fit` are those of Keras; `train_step` makes one step from the batches it gets.
    The log of the steps stays on the device, so that no step waits for it. Metrics go to
    `compile` as `weighted_metrics`, because rows of weight 0 only pad batches.

    Args:
        network: The classifier.
        num_train_steps: Number of planned steps.
        training_loss: The Keras loss that steps minimize; None: the loss given to `compile`,
            which evaluations measure.
        compile_steps: Whether to compile steps with XLA. (Keras' `jit_compile` does nothing if
            operations are deterministic, as they are here.)

    Attributes:
        updates_done: Number of steps made, counted as batches are fed, not by the optimizer.
        step_log: float32, shape [rows, 4]: the applied learning rate, the loss, the global norm
            of the gradient before clipping, and the number of examples of each step; rows as in
            `history.LogRows`.
    """

    train_function: Any
    test_function: Any

    def __init__(
        self,
        network: Any,
        num_train_steps: int,
        training_loss: Any = None,
        *,
        compile_steps: bool = False,
    ) -> None:
        super().__init__(name="trainer")
        self.network = network
        self._training_loss = training_loss
        self._compile_steps = compile_steps
        self.updates_done = tf.Variable(0, dtype=tf.int64, **_COPIES)
        self._rows = LogRows(num_train_steps)
        self.step_log = tf.Variable(tf.zeros([self._rows.count, 4]), **_COPIES)
        self.built = True

    def call(self, features: dict[str, Any], training: bool = False) -> Any:
        """The logits, float32, shape [batch, labels], or for tokens [batch, width, labels]."""
        return self.network(features, training=training)

    def compile(self, *args: Any, **settings: Any) -> None:
        """Set the optimizer, the loss and the metrics, and create the optimizer's slots.

        Slots created inside a graph could be neither restored nor mirrored.
        """
        super().compile(*args, **settings)
        self.optimizer.build(self.network.trainable_variables)

    def get_metrics_result(self) -> dict[str, Any]:
        """The metrics; empty before the first evaluation, where Keras' own method fails."""
        if not all(getattr(metric, "built", True) for metric in self.metrics):
            return {}
        return super().get_metrics_result()  # type: ignore[no-any-return]

    def make_train_function(self, force: bool = False) -> Any:
        """Create the function that `fit` calls with an iterator for every step."""
        if force or self.train_function is None:
            self.train_function = self._function(self.train_step, self._compile_steps)
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        """Create the function that `evaluate` calls with an iterator for every batch."""
        if force or self.test_function is None:
            self.test_function = self._function(self.test_step, False)
        return self.test_function

    def train_step(self, group: dict[str, Any]) -> dict[str, Any]:
        """Make one step from a group of batches.

        Args:
            group: This replica's element of `inputs.training_dataset`.

        Returns:
            The loss: the mean over the real examples, or their words, of all replicas.
        """
        variables = self.network.trainable_variables
        total = _sum_over_replicas(tf.reduce_sum(group["weights"]))
        if group["weights"].shape[0] == 1:
            loss, gradients = self._loss_and_gradients(group, 0, total, variables)
        else:

            def add_batch(i: Any, loss: Any, sums: list[Any]) -> tuple[Any, Any, list[Any]]:
                batch_loss, gradients = self._loss_and_gradients(group, i, total, variables)
                return (
                    i + 1,
                    loss + batch_loss,
                    [a + b for a, b in zip(sums, gradients, strict=True)],
                )

            batches = tf.shape(group["weights"])[0]
            _, loss, gradients = tf.while_loop(
                lambda i, loss, sums: i < batches,
                add_batch,
                (tf.constant(0), tf.constant(0.0), [tf.zeros(v.shape, v.dtype) for v in variables]),
                parallel_iterations=1,
            )
        # Summed here and not in the optimizer: the logged norm is that of the whole gradient.
        loss, gradients = _sum_over_replicas((loss, gradients))
        norm = tf.linalg.global_norm(gradients)
        self.optimizer.apply(gradients, variables)
        examples = _sum_over_replicas(_examples(group["weights"]))
        applied = tf.stack([self.optimizer.applied_learning_rate, loss, norm, examples])
        # Count only after the step; in a graph, nothing else would make this wait for the data.
        with tf.control_dependencies([applied]):
            # A distributed variable has no `scatter_update`; the replica's copy has a handle.
            tf.raw_ops.ResourceScatterUpdate(
                resource=self.step_log.handle, indices=self._row(), updates=applied
            )
            self.updates_done.assign_add(1)
        return {"loss": loss}

    def test_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Evaluate one batch.

        Args:
            batch: This replica's element of `inputs.validation_dataset`.

        Returns:
            The loss given to `compile` and the metrics, over all batches up to this one.
        """
        labels, weights = batch["labels"][0], batch["weights"][0]
        logits = self.network({name: value[0] for name, value in batch["features"].items()})
        rows = tf.reduce_sum(weights)
        loss = tf.reduce_sum(self.loss.call(labels, logits) * weights)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(tf.math.divide_no_nan(loss, rows), rows)
            else:
                metric.update_state(labels, logits, weights)
        return self.get_metrics_result()

    def _function(self, step: Callable[[Any], Any], compiled: bool) -> Any:
        """A `train_step` or `test_step` on all replicas, as a function of an iterator.

        Keras' own averages the values of all replicas, which fails with several workers
        (keras-team/keras#20585); here they are already equal on all replicas.
        """
        strategy = self.distribute_strategy

        def on_all(data: Any) -> Any:
            returned = strategy.run(step, args=(data,))
            return {n: strategy.experimental_local_results(v)[0] for n, v in returned.items()}

        on_all = tf.function(on_all, reduce_retracing=True, autograph=False, jit_compile=compiled)
        return tf.function(
            lambda iterator: on_all(next(iterator)), reduce_retracing=True, autograph=False
        )

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Do nothing: all variables exist, and Keras would consume a batch to create them."""

    def _row(self) -> Any:
        """The row of the current step in the log, computed as in `LogRows.of`."""
        if self._rows.stride == 1:
            return self.updates_done
        step, stride = tf.convert_to_tensor(self.updates_done), self._rows.stride
        last = tf.constant(self._rows.count - 1, tf.int64)
        return tf.where(step % stride == 0, step // stride, last)

    def _loss_and_gradients(
        self, group: dict[str, Any], i: Any, total: Any, variables: list[Any]
    ) -> tuple[Any, list[Any]]:
        """The share of batch i in the step's loss and gradient; the shares add up to the mean.

        Keras would divide it by the number of replicas, as if each computed its own mean.
        """
        labels, weights = group["labels"][i], group["weights"][i]
        features = {name: value[i] for name, value in group["features"].items()}
        rows = tf.cast(tf.size(weights), tf.float32)
        weights *= rows / total
        with tf.GradientTape() as tape:
            logits = self.network(features, training=True)
            values = (self._training_loss or self.loss).call(labels, logits)
            loss = tf.reduce_sum(values * weights) / rows
        gradients = tape.gradient(
            loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        # The fused optimizer kernel needs dense gradients; that of an embedding is sparse.
        return loss, [tf.convert_to_tensor(g) for g in gradients]


def _examples(weights: Any) -> Any:
    """The number of examples with a weight above 0, of words with at least one such word."""
    while len(weights.shape) > 2:
        weights = tf.reduce_max(weights, -1)
    return tf.reduce_sum(weights)


def _sum_over_replicas(values: Any) -> Any:
    replica = tf.distribute.get_replica_context()
    # A sum over one replica would keep every gradient in memory until the last one is computed.
    return values if replica.num_replicas_in_sync == 1 else replica.all_reduce("sum", values)
