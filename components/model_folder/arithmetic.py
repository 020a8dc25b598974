"""Keys of a model's configuration that change its arithmetic in a way that is not computed here.

The TensorFlow classes ignore them and give other numbers than PyTorch does, without a word. This
knows nothing of the classes: it compares config.json with what they compute.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError

# Their positions are counted from the padding token's id, which TensorFlow takes to be this one.
_POSITIONS_AFTER_PADDING = ("camembert", "roberta", "roberta-prelayernorm", "xlm-roberta")
_PAD = 1
_ACTIVATIONS = (
    *("gelu", "gelu_10", "gelu_fast", "gelu_new", "glu", "mish", "quick_gelu", "relu"),
    *("sigmoid", "silu", "swish", "tanh"),
)
_ACTIVATION_KEYS = ("hidden_act", "activation", "pooler_hidden_act")
_NO_TOKEN_TYPES = ("distilbert", "mpnet")


def check_arithmetic(config: dict[str, Any], where: Path) -> None:
    """Refuse a configuration that asks for numbers which are not computed here.

    Args:
        config: The model's config.json.
        where: The file, for the message.

    Raises:
        InputError: Naming every such key, and its value.
    """
    wanted: dict[str, str] = {}  # what would be computed, by key
    if config.get("position_embedding_type", "absolute") != "absolute":
        wanted["position_embedding_type"] = '"absolute"'
    if (
        config["model_type"] in _POSITIONS_AFTER_PADDING
        and config.get("pad_token_id", _PAD) != _PAD
    ):
        wanted["pad_token_id"] = str(_PAD)
    for key in ("is_decoder", "add_cross_attention"):
        if config.get(key):
            wanted[key] = "false"
    for key in _ACTIVATION_KEYS:
        if config.get(key, "gelu") not in _ACTIVATIONS:
            wanted[key] = "one of " + ", ".join(_ACTIVATIONS)
    if config.get("pruned_heads"):
        wanted["pruned_heads"] = "{}"
    if wanted:
        raise InputError(
            "the model uses unsupported settings: "
            + ", ".join(f"{key} {config[key]!r}" for key in wanted),
            where=str(where),
            expected="; ".join(f"{key} {value}" for key, value in wanted.items()),
            remedy="choose another model; changing the key would change the model's answers",
        )


def takes_token_types(config: dict[str, Any]) -> bool:
    """Whether a model tells the second text of a pair by token types, whatever its tokenizer says.

    Args:
        config: The model's config.json.
    """
    if config.get("model_type") in _NO_TOKEN_TYPES:
        return False
    default = 0 if str(config.get("model_type")).startswith("deberta") else 2
    types = config.get("type_vocab_size", default)
    return isinstance(types, int) and types > 1
