"""An architecture, as `classifier.py` builds it and `weights.py` loads and saves it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from kfp_finetune.components.models.encoder import Encoder
from kfp_finetune.components.models.heads import Head


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """The parts of an architecture and PyTorch's names of its weights.

    In the names, `{}` is a number. A name of ours is the path of attributes to a layer; PyTorch's
    is that of the module.

    Attributes:
        torch_class: Start of the names of PyTorch's classes, such as "Bert".
        prefix: The attribute of PyTorch's classifiers that is the encoder, such as "bert".
        encoder: Builds the encoder of a configuration.
        pooled_head: Builds the head for one answer per text, of a configuration and the number of
            outputs.
        token_head: The same for one answer per token.
        encoder_names: PyTorch's names of the encoder's layers, without the prefix.
        pooled_head_names: PyTorch's names of the layers of the head for texts, with the prefix
            where a part of it belongs to PyTorch's encoder.
        token_head_names: The same of the head for tokens.
        first_token: Whether the head for texts reads the first token only; or a function that
            tells it of a configuration.
        renamed: Other names that published checkpoints use: a regular expression and what replaces
            it, tried in order on every name.
        split: Tensors that published checkpoints store as one: a regular expression for the joint
            name, after `renamed`, and what replaces it for each of the equal parts.
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
        """Whether the head for texts reads the first token only."""
        return self.first_token(config) if callable(self.first_token) else self.first_token
