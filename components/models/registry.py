"""The families: one line for each `model_type`. TensorFlow is imported only by `family`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.models.configurations.bert import BertConfig
from kfp_finetune.components.models.configurations.config import Config
from kfp_finetune.components.models.configurations.deberta import DebertaConfig
from kfp_finetune.components.models.configurations.deberta_v2 import DebertaV2Config
from kfp_finetune.components.models.configurations.modernbert import ModernBertConfig

if TYPE_CHECKING:
    from kfp_finetune.components.models.family import Family

# model_type: its configuration, and the module in families/ that has its layers.
_FAMILIES: Mapping[str, tuple[type[Config], str]] = {
    "bert": (BertConfig, "bert"),
    "deberta": (DebertaConfig, "deberta"),
    "deberta-v2": (DebertaV2Config, "deberta_v2"),
    "modernbert": (ModernBertConfig, "modernbert"),
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
    """The layers, heads and names of a family; imports TensorFlow."""
    _, module = _FAMILIES[model_type]
    families = import_module(f"kfp_finetune.components.models.families.{module}")
    return families.FAMILY  # type: ignore[no-any-return]
