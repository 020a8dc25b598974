"""RemBERT (2010.12821): BERT with embeddings narrower than its layers."""

from __future__ import annotations

from kfp_finetune.components.models.configurations.rembert import RemBertConfig
from kfp_finetune.components.models.families import bert
from kfp_finetune.components.models.family import Family


def encoder(config: RemBertConfig) -> bert.BertEncoder:
    """Build BERT's encoder with projected embeddings."""
    return bert.BertEncoder(config, embedding_size=config.input_embedding_size, projected=True)


FAMILY = Family(
    torch_class="RemBert",
    prefix="rembert",
    encoder=encoder,
    pooled_head=bert.pooled_head,
    token_head=bert.token_head,
    encoder_names={**bert.ENCODER_NAMES, "projection": "encoder.embedding_hidden_mapping_in"},
    pooled_head_names={"pooler": "rembert.pooler.dense", "logits": "classifier"},
)
