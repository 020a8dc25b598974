"""The families: one line for each `model_type`. TensorFlow is imported only by `family`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.models.configurations.albert import AlbertConfig
from kfp_finetune.components.models.configurations.bert import BertConfig
from kfp_finetune.components.models.configurations.config import Config
from kfp_finetune.components.models.configurations.convbert import ConvBertConfig
from kfp_finetune.components.models.configurations.deberta import DebertaConfig
from kfp_finetune.components.models.configurations.deberta_v2 import DebertaV2Config
from kfp_finetune.components.models.configurations.distilbert import DistilBertConfig
from kfp_finetune.components.models.configurations.electra import ElectraConfig
from kfp_finetune.components.models.configurations.eurobert import EuroBertConfig
from kfp_finetune.components.models.configurations.gte import GteConfig
from kfp_finetune.components.models.configurations.jina_embeddings_v3 import JinaEmbeddingsV3Config
from kfp_finetune.components.models.configurations.mobilebert import MobileBertConfig
from kfp_finetune.components.models.configurations.modernbert import ModernBertConfig
from kfp_finetune.components.models.configurations.mpnet import MPNetConfig
from kfp_finetune.components.models.configurations.nomic_bert import NomicBertConfig
from kfp_finetune.components.models.configurations.rembert import RemBertConfig
from kfp_finetune.components.models.configurations.roberta import RobertaConfig, XLMRobertaConfig

if TYPE_CHECKING:
    from kfp_finetune.components.models.family import Family

# model_type: the configuration, and the module of the layers in families/, followed by a dot and
# the name in that module if it is not FAMILY.
_FAMILIES: Mapping[str, tuple[type[Config], str]] = {
    "albert": (AlbertConfig, "albert"),
    "bert": (BertConfig, "bert"),
    "camembert": (XLMRobertaConfig, "roberta.CAMEMBERT"),
    "convbert": (ConvBertConfig, "convbert"),
    "deberta": (DebertaConfig, "deberta"),
    "deberta-v2": (DebertaV2Config, "deberta_v2"),
    "distilbert": (DistilBertConfig, "distilbert"),
    "electra": (ElectraConfig, "electra"),
    "mobilebert": (MobileBertConfig, "mobilebert"),
    "eurobert": (EuroBertConfig, "eurobert"),
    "gte": (GteConfig, "gte"),
    "jina_embeddings_v3": (JinaEmbeddingsV3Config, "jina_embeddings_v3"),
    "nomic_bert": (NomicBertConfig, "nomic_bert"),
    "modernbert": (ModernBertConfig, "modernbert"),
    "mpnet": (MPNetConfig, "mpnet"),
    "rembert": (RemBertConfig, "rembert"),
    "roberta": (RobertaConfig, "roberta"),
    "roberta-prelayernorm": (RobertaConfig, "roberta_prelayernorm"),
    "xlm-roberta": (XLMRobertaConfig, "roberta.XLM_ROBERTA"),
}
FAMILIES = tuple(sorted(_FAMILIES))


def read_config(described: Mapping[str, Any], where: Path) -> Config:
    """The typed configuration of a config.json whose model_type is one of `FAMILIES`.

    Raises:
        InputError: If a key has a value that is not implemented.
    """
    config, _ = _FAMILIES[described["model_type"]]
    return config.read(described, where)


def family(model_type: str) -> Family:
    """The layers, heads and names of a family. Imports TensorFlow."""
    module, _, name = _FAMILIES[model_type][1].partition(".")
    families = import_module(f"kfp_finetune.components.models.families.{module}")
    return getattr(families, name or "FAMILY")  # type: ignore[no-any-return]
