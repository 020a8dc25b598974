"""The description of an architecture: its layers, heads and the names of its weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from kfp_finetune.components.models.encoder import Encoder
from kfp_finetune.components.models.heads import Head


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """The parts of an architecture, and PyTorch's names of its weights.

    In names, `{}` stands for a number. Our name of a layer is the path of attributes to it;
    PyTorch's is that of the module.

    Attributes:
        torch_class: Start of the names of PyTorch's classes, such as "Bert".
        prefix: The attribute of PyTorch's classifiers that is the encoder, such as "bert".
        encoder: Builds the encoder from a configuration.
        pooled_head: Builds the head for one prediction per text, from a configuration and the
            number of outputs.
        token_head: Builds the head for one prediction per token.
        encoder_names: PyTorch's names of the encoder's layers, without the prefix.
        pooled_head_names: PyTorch's names of the layers of the head for texts, with the prefix for
            parts that belong to PyTorch's encoder.
        token_head_names: PyTorch's names of the layers of the head for tokens.
        first_token: Whether the head for texts reads only the first token, or a function that
            decides it from a configuration.
        renamed: Other names in published checkpoints: a regular expression and its replacement,
            applied in order to every name.
        split: Tensors that published checkpoints store as one: a regular expression for the joint
            name, after `renamed`, and its replacement for each of the equal parts.
        ignored: A regular expression for tensors that have no influence on the logits.
    """

    torch_class: str
    prefix: str
    encoder: Callable[[Any], Encoder]
    pooled_head: Callable[[Any, int], Head]
    token_head: Callable[[Any, int], Head]
    encoder_names: Mapping[str, str]
    pooled_head_names: Mapping[str, str]
    token_head_names: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: {"logits": "classifier"}
    )
    first_token: bool | Callable[[Any], bool] = True
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    split: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    ignored: str = r"(^|\.)(position_ids$|pooler\.)"

    def reads_first_token(self, config: Any) -> bool:
        """Return True if the head for texts reads only the first token."""
        return self.first_token(config) if callable(self.first_token) else self.first_token
