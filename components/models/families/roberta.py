"""RoBERTa (1907.11692), XLM-RoBERTa (1911.02116) and CamemBERT (1911.03894).

They have BERT's layers, but a different head and different position numbers.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from kfp_finetune.components.models.configurations.roberta import RobertaConfig
from kfp_finetune.components.models.families import bert
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.heads import PooledHead


class RobertaEncoder(bert.BertEncoder):
    """BERT's encoder with position numbers that start after the padding token's id."""

    def __init__(self, config: RobertaConfig, blocks: Any = None) -> None:
        super().__init__(config, blocks)
        self._padding = config.pad_token_id

    def position_vectors(self, ids: Any) -> Any:
        """See `BertEncoder.position_vectors`."""
        return self.positions(positions_after(ids, self._padding))


def positions_after(ids: Any, padding: int) -> Any:
    """The position numbers of ids, as in fairseq.

    Args:
        ids: Token ids, shape [batch, width].
        padding: The padding token's id.

    Returns:
        `padding` for padding, and `padding` + 1, + 2, ... for the other tokens; int32, the shape of
        the ids.
    """
    tokens = tf.cast(tf.not_equal(ids, padding), tf.int32)
    return tf.cumsum(tokens, axis=1) * tokens + padding


def pooled_head(config: Any, outputs: int) -> PooledHead:
    """Build dropout, a dense layer, dropout and another dense layer."""
    dropout = config.head_dropout
    return PooledHead(config.hidden_size, dropout, outputs, dropout_before=dropout)


POOLED_HEAD_NAMES = {"pooler": "classifier.dense", "logits": "classifier.out_proj"}

FAMILY = Family(
    torch_class="Roberta",
    prefix="roberta",
    encoder=RobertaEncoder,
    pooled_head=pooled_head,
    token_head=bert.token_head,
    encoder_names=bert.ENCODER_NAMES,
    pooled_head_names=POOLED_HEAD_NAMES,
)
XLM_ROBERTA = dataclasses.replace(FAMILY, torch_class="XLMRoberta")
CAMEMBERT = dataclasses.replace(FAMILY, torch_class="Camembert")
