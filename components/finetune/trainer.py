"""One update of a run, as a Keras model whose `fit` makes exactly the planned ones."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from kfp_finetune.components.finetune import models

# The columns of `Trainer.update_log`.
LEARNING_RATE, LOSS, GRADIENT_NORM, EXAMPLES = range(4)


class Trainer(tf_keras.Model):
    """A Transformers classifier, trained one update at a time.

    `compile` and `fit` are Keras' own; `train_step` makes one update from the batches it is given.
    What each update did is kept on the device, so that nothing has to wait for it.

    Args:
        network: The Transformers model.
        num_train_steps: Updates planned.
        training_loss: A Keras loss that updates minimize; None: the one given to `compile`, which
            is what evaluations measure.

    Attributes:
        updates_done: Updates made, counted as batches are fed, not taken from the optimizer.
        update_log: float32, shape [num_train_steps, 4]: the learning rate that each update applied,
            its loss, the global norm of its gradient before clipping, and its examples.
    """

    def __init__(self, network: Any, num_train_steps: int, training_loss: Any = None) -> None:
        super().__init__()
        self.network = network
        self._logits = models.logits_of(network)
        self._training_loss = training_loss
        self.updates_done = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.update_log = tf.Variable(tf.zeros([num_train_steps, 4]), trainable=False)

    def call(self, features: dict[str, Any], training: bool = False) -> Any:
        """Logits, float32, shape [batch, labels]."""
        return self._logits(features, training)

    def train_step(self, update: dict[str, Any]) -> dict[str, Any]:
        """Make one update from a group of batches.

        Args:
            update: An element of `inputs.training_dataset`.

        Returns:
            The update's loss: the mean over its real examples.
        """
        variables = self.trainable_variables
        total = tf.reduce_sum(update["weights"])
        if update["weights"].shape[0] == 1:
            loss, gradients = self._loss_and_gradients(update, 0, total, variables)
        else:

            def add_batch(i: Any, loss: Any, sums: list[Any]) -> tuple[Any, Any, list[Any]]:
                batch_loss, gradients = self._loss_and_gradients(update, i, total, variables)
                return (
                    i + 1,
                    loss + batch_loss,
                    [a + b for a, b in zip(sums, gradients, strict=True)],
                )

            batches = tf.shape(update["weights"])[0]
            _, loss, gradients = tf.while_loop(
                lambda i, loss, sums: i < batches,
                add_batch,
                (tf.constant(0), tf.constant(0.0), [tf.zeros(v.shape, v.dtype) for v in variables]),
                parallel_iterations=1,
            )
        norm = tf.linalg.global_norm(gradients)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        applied = tf.stack([self.optimizer.applied_learning_rate, loss, norm, total])
        # Counted only after the update: in a graph, nothing else would make this wait for data.
        with tf.control_dependencies([applied]):
            position = tf.reshape(self.updates_done, [1, 1])
            self.update_log.scatter_nd_update(position, applied[tf.newaxis])
            self.updates_done.assign_add(1)
        return {"loss": loss}

    def _loss_and_gradients(
        self, update: dict[str, Any], i: Any, total: Any, variables: list[Any]
    ) -> tuple[Any, list[Any]]:
        """Batch i's share of the update's loss and gradient: the shares add up to the mean."""
        labels, weights = update["labels"][i], update["weights"][i]
        features = {name: value[i] for name, value in update["features"].items()}
        # Keras divides a weighted loss by the number of rows in the batch, filled-up ones included.
        weights *= tf.cast(tf.size(weights), tf.float32) / total
        with tf.GradientTape() as tape:
            logits = self(features, training=True)
            loss = (self._training_loss or self.compiled_loss)(labels, logits, weights)
        gradients = tape.gradient(
            loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        # The fused optimizer kernel takes dense gradients; an embedding's comes as slices.
        return loss, [tf.convert_to_tensor(g) for g in gradients]
