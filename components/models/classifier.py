"""An encoder with a head, as one Keras model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.models.configurations.config import Config
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.embeddings import Embedding
from kfp_finetune.components.models.family import Family


class Classifier(keras.Model):
    """Compute logits of texts, or of tokens, from token ids.

    Args:
        family: The architecture.
        config: The configuration of the architecture.
        num_labels: Number of outputs.
        label_names: The label of output i is `label_names[i]`; empty if labels have no names.
        problem_type: The problem type, e.g. "single_label_classification".
        per_token: Whether there is one prediction per token instead of one per text.
        seed: The seed of dropout.

    Attributes:
        dropout_seeds: The generator of dropout's seeds. Besides the weights, a checkpoint needs
            only its `state`.
    """

    def __init__(
        self,
        family: Family,
        config: Config,
        *,
        num_labels: int,
        problem_type: str,
        label_names: Sequence[str] = (),
        per_token: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(name="classifier")
        self.family = family
        self.config = config
        self.num_labels = num_labels
        self.label_names = tuple(label_names)
        self.problem_type = problem_type
        self.per_token = per_token
        self.encoder = family.encoder(config)
        make_head = family.token_head if per_token else family.pooled_head
        self.head = make_head(config, num_labels)
        self._first_token = family.reads_first_token(config) and not per_token
        parts = self._flatten_layers(include_self=False)
        for number, part in enumerate(parts):
            # Keras numbers all layers of a process in their names, and TensorFlow's graph optimizer
            # depends on names: the second model of a process would round sums differently.
            part.name = f"{number:04}_{type(part).__name__}"
        for number, part in enumerate(part for part in parts if isinstance(part, Dropout)):
            part.number = number
        self.dropout_seeds = keras.random.SeedGenerator(seed)
        self.built = True

    @property
    def word_embeddings(self) -> Embedding:
        """The embeddings of the vocabulary."""
        return self.encoder.words

    @property
    def gradient_checkpointing(self) -> bool:
        """True to save memory in slower training; see `Encoder`. Set it before training."""
        return self.encoder.gradient_checkpointing

    @gradient_checkpointing.setter
    def gradient_checkpointing(self, value: bool) -> None:
        self.encoder.gradient_checkpointing = value

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Compute logits.

        Args:
            features: `input_ids`, `attention_mask` and, for some models, `token_type_ids`; int32,
                shape [batch, width].
            training: Whether to apply dropout.

        Returns:
            Logits, float32, shape [batch, num_labels], or [batch, width, num_labels] for tokens.
        """
        seed = self._next_seed() if training else None
        hidden = self.encoder(features, seed, first_token=self._first_token)
        logits = self.head(hidden, features["attention_mask"], seed)
        return tf.cast(logits, tf.float32)

    def _next_seed(self) -> Any:
        """A seed for one forward pass, different on each replica; int32, shape [2]."""
        seed = tf.bitcast(tf.cast(self.dropout_seeds.next(), tf.uint32), tf.int32)
        replica = tf.distribute.get_replica_context()
        if replica is None or replica.num_replicas_in_sync == 1:
            return seed
        number = tf.cast(replica.replica_id_in_sync_group, tf.int32)
        # Layers add their numbers, which are smaller; the other half counts passes.
        return seed + tf.stack([number * 2**16, 0])
